// Paths of files, each with a button that copies it.

const copy = async (text, field) => {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text)
    return
  }
  field.hidden = false
  field.value = text
  field.select()
  document.execCommand("copy")
  field.hidden = true
}

const row = (file, words, say) => {
  const made = document.createElement("li")
  const name = document.createElement("bdi")
  name.textContent = file.shown
  const note = document.createElement("span")
  note.className = "note"
  note.textContent = file.note
  const button = document.createElement("button")
  button.type = "button"
  button.textContent = words.copy
  button.setAttribute("aria-label", `${words.copy}: ${file.shown}`)
  const field = document.createElement("textarea")
  field.hidden = true
  button.onclick = async () => {
    await copy(file.path, field)
    say(words.copied)
  }
  made.append(name, note, button, field)
  return made
}

export default function (component) {
  const { data, parentElement } = component
  const list = document.createElement("ul")
  const status = document.createElement("p")
  status.setAttribute("role", "status")
  const say = (text) => {
    status.textContent = text
  }
  list.append(...data.files.map((file) => row(file, data.words, say)))
  parentElement.querySelector("ul")?.remove()
  parentElement.querySelector("p")?.remove()
  parentElement.append(list, status)
}
