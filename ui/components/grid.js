// A grid of pictures. File names are untrusted: they become text and attributes, never markup.

const STEPS = { ArrowLeft: -1, ArrowRight: 1 }

const element = (tag, className, text) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const outline = (part) => {
  const made = element("span", "part")
  made.style.left = `${part.x}%`
  made.style.top = `${part.y}%`
  made.style.width = `${part.width}%`
  made.style.height = `${part.height}%`
  return made
}

const picture = (item, words) => {
  const frame = element("span", "frame")
  if (!item.source) {
    frame.append(element("span", "missing", words.no_preview))
    return frame
  }
  // a box of the aspect ratio of the picture, in which the segment is positioned
  const shape = element("span", item.wide ? "shape wide" : "shape tall")
  shape.style.aspectRatio = item.aspect
  const image = element("img")
  image.loading = "lazy"
  image.decoding = "async"
  image.alt = item.alt
  image.src = item.source
  shape.append(image)
  if (item.part) shape.append(outline(item.part))
  frame.append(shape)
  return frame
}

const badges = (item) => {
  const row = element("span", "badges")
  for (const badge of item.badges) row.append(element("span", `badge ${badge.kind}`, badge.text))
  return row
}

const cell = (item, words) => {
  const made = element("li")
  const link = element("a", "cell")
  link.href = item.address
  link.tabIndex = -1
  link.dataset.hash = item.hash
  link.setAttribute("aria-label", item.alt)
  const lines = element("span", "lines")
  const name = element("bdi", "name", item.name)
  name.title = item.name
  lines.append(name)
  if (item.date || !item.matched) lines.append(element("span", "date", item.date))
  if (item.matched) {
    const matched = element("bdi", "matched", item.matched)
    matched.title = item.matched
    lines.append(matched)
  }
  link.append(picture(item, words), badges(item), lines)
  made.append(link)
  return made
}

const cellAbove = (cells, from, direction) => {
  const here = cells[from].getBoundingClientRect()
  let best = from
  let nearest = Infinity
  for (let at = from + direction; cells[at]; at += direction) {
    const there = cells[at].getBoundingClientRect()
    if (Math.abs(there.top - here.top) < here.height / 2) continue
    if (nearest < Infinity && Math.abs(there.top - cells[best].getBoundingClientRect().top) > here.height / 2) break
    const away = Math.abs(there.left - here.left)
    if (away < nearest) [best, nearest] = [at, away]
  }
  return best
}

const target = (event, cells, at) => {
  if (event.key in STEPS) return at + STEPS[event.key]
  if (event.key === "ArrowDown") return cellAbove(cells, at, 1)
  if (event.key === "ArrowUp") return cellAbove(cells, at, -1)
  if (event.key === "Home") return 0
  if (event.key === "End") return cells.length - 1
  return undefined
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const made = JSON.stringify(data)
  let list = parentElement.querySelector("ul")
  const isNew = !list || list.dataset.made !== made
  if (isNew) {
    const fresh = element("ul", "grid")
    fresh.dataset.made = made
    fresh.setAttribute("aria-label", data.words.label)
    fresh.append(...data.items.map((item) => cell(item, data.words)))
    if (list) list.replaceWith(fresh)
    else parentElement.append(fresh)
    list = fresh
  }
  const cells = [...list.querySelectorAll("a")]
  const enter = (next) => {
    for (const each of cells) each.tabIndex = -1
    next.tabIndex = 0
  }
  const returned = cells.find((each) => each.dataset.hash === data.focus)
  if (isNew && cells.length) enter(returned ?? cells[0])
  if (isNew && returned) {
    returned.focus({ preventScroll: true })
    returned.scrollIntoView({ block: "center" })
  }

  list.onclick = (event) => {
    const link = event.target.closest("a")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    setTriggerValue("opened", link.dataset.hash)
  }
  list.onkeydown = (event) => {
    const at = cells.indexOf(event.target.closest("a"))
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return
    const next = cells[target(event, cells, at)]
    if (!next) return
    event.preventDefault()
    event.stopPropagation()
    enter(next)
    next.focus()
  }
  list.onfocusin = (event) => {
    const link = event.target.closest("a")
    if (link) enter(link)
  }

  // focus the grid: arrow down in the search box, arrow left or right without a focus
  const onKey = (event) => {
    if (!list.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    const at = event.composedPath()[0]
    const fromBox = event.key === "ArrowDown" && at.matches?.(`.st-key-${data.box} input`)
    const fromNowhere = event.key in STEPS && at === document.body
    const next = cells.find((each) => each.tabIndex === 0)
    if (!next || !(fromBox || fromNowhere)) return
    event.preventDefault()
    next.focus()
  }
  // Streamlit calls this function at every change of the data, and the returned function only at the end
  parentElement.listening?.abort()
  parentElement.listening = new AbortController()
  document.addEventListener("keydown", onKey, { signal: parentElement.listening.signal })
  return () => parentElement.listening.abort()
}
