// Keys and pasted pictures of the search page, with any focus.

const typed = (event) => {
  const at = event.composedPath()[0]
  return at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName)
}

const find = (key, what) => document.querySelector(`.st-key-${key} ${what}`)

// use the field of the uploader, with its checks
const hand = (files, key) => {
  const field = find(key, "input[type=file]")
  const pictures = [...files].filter((file) => file.type.startsWith("image/") || !file.type)
  if (!field || field.disabled || !pictures.length) return false
  const carried = new DataTransfer()
  for (const picture of pictures) carried.items.add(picture)
  field.files = carried.files
  field.dispatchEvent(new Event("change", { bubbles: true }))
  return true
}

export default function (component) {
  const { data, parentElement } = component

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Escape" && event.composedPath()[0] === find(data.box, "input")) {
      event.composedPath()[0].blur()
      return
    }
    if (event.key !== "/" || typed(event)) return
    const box = find(data.box, "input")
    if (!box) return
    event.preventDefault()
    box.focus()
    box.select()
  }
  const onPaste = (event) => {
    const files = event.clipboardData?.files
    if (files?.length && hand(files, data.uploader)) event.preventDefault()
  }
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files")
  const onDragOver = (event) => {
    if (carriesFiles(event)) event.preventDefault()
  }
  const onDrop = (event) => {
    if (!carriesFiles(event) || event.defaultPrevented) return
    event.preventDefault()
    hand(event.dataTransfer.files, data.uploader)
  }

  // Streamlit calls this function at every change of the data, and the returned function only at the end
  parentElement.listening?.abort()
  parentElement.listening = new AbortController()
  const until = { signal: parentElement.listening.signal }
  document.addEventListener("keydown", onKey, until)
  document.addEventListener("paste", onPaste, until)
  document.addEventListener("dragover", onDragOver, until)
  document.addEventListener("drop", onDrop, until)
  return () => parentElement.listening.abort()
}
