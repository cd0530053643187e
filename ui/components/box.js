// A picture, and a box in it that is drawn by pointer or entered as numbers.

const SIDES = ["x", "y", "width", "height"]
const SMALLEST = 1

const element = (tag, className, text) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high)

const inside = (box) => {
  const x = clamp(box.x, 0, 100 - SMALLEST)
  const y = clamp(box.y, 0, 100 - SMALLEST)
  return { x, y, width: clamp(box.width, SMALLEST, 100 - x), height: clamp(box.height, SMALLEST, 100 - y) }
}

const between = (one, other) => ({
  x: Math.min(one.x, other.x),
  y: Math.min(one.y, other.y),
  width: Math.abs(one.x - other.x),
  height: Math.abs(one.y - other.y),
})

const build = (data) => {
  const words = data.words
  const root = element("div", "picture")
  const stage = element("div", "stage")
  stage.style.aspectRatio = data.aspect
  stage.style.setProperty("--aspect-number", data.aspect)
  if (data.source) {
    const image = element("img")
    image.alt = data.alt
    image.src = data.source
    image.draggable = false
    stage.append(image)
  } else {
    stage.append(element("p", "missing", words.no_picture))
  }
  for (const mark of data.marks ?? []) {
    const made = element("div", "mark")
    for (const side of ["width", "height"]) made.style[side] = `${mark[side]}%`
    made.style.left = `${mark.x}%`
    made.style.top = `${mark.y}%`
    stage.append(made)
  }
  const frame = element("div", "box")
  frame.hidden = true
  stage.append(frame)

  const start = element("button", "start", words.start)
  start.type = "button"
  const form = element("form")
  form.hidden = true
  form.append(element("p", "hint", words.hint))
  const fields = {}
  for (const side of SIDES) {
    const label = element("label", undefined, words[side])
    const field = element("input")
    Object.assign(field, { type: "number", min: 0, max: 100, step: "any", value: 25 + 25 * (side.length > 1) })
    fields[side] = field
    label.append(field)
    form.append(label)
  }
  const send = element("button", "send", words.send)
  send.type = "submit"
  const stop = element("button", "stop", words.stop)
  stop.type = "button"
  form.append(send, stop)
  root.append(stage, ...(data.selectable ? [start, form] : []))
  return { root, stage, frame, start, form, fields, stop }
}

const connect = (parts, emit) => {
  const { stage, frame, start, form, fields, stop } = parts
  const numbers = () => inside(Object.fromEntries(SIDES.map((side) => [side, Number(fields[side].value) || 0])))
  const draw = (box) => {
    frame.style.left = `${box.x}%`
    frame.style.top = `${box.y}%`
    frame.style.width = `${box.width}%`
    frame.style.height = `${box.height}%`
  }
  const select = (on) => {
    form.hidden = frame.hidden = !on
    start.hidden = on
    stage.classList.toggle("selecting", on)
    if (on) draw(numbers())
    if (on) fields.x.focus()
    else start.focus()
  }
  const place = (event) => {
    const bounds = stage.getBoundingClientRect()
    return {
      x: clamp((100 * (event.clientX - bounds.left)) / bounds.width, 0, 100),
      y: clamp((100 * (event.clientY - bounds.top)) / bounds.height, 0, 100),
    }
  }
  let corner
  stage.onpointerdown = (event) => {
    if (form.hidden || !form.isConnected || event.button !== 0) return
    event.preventDefault()
    stage.setPointerCapture(event.pointerId)
    corner = place(event)
  }
  stage.onpointermove = (event) => {
    if (!corner) return
    const box = inside(between(corner, place(event)))
    for (const side of SIDES) fields[side].value = box[side].toFixed(1)
    draw(box)
  }
  stage.onpointerup = stage.onpointercancel = () => {
    corner = undefined
  }
  for (const side of SIDES) fields[side].oninput = () => draw(numbers())
  start.onclick = () => select(true)
  stop.onclick = () => select(false)
  form.onkeydown = (event) => {
    event.stopPropagation()
    if (event.key === "Escape") select(false)
  }
  form.onsubmit = (event) => {
    event.preventDefault()
    const box = numbers()
    emit(SIDES.map((side) => `${Number(box[side].toFixed(2))}%`).join(","))
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const made = JSON.stringify(data)
  const there = parentElement.querySelector(".picture")
  if (there?.dataset.made === made) return
  const parts = build(data)
  parts.root.dataset.made = made
  connect(parts, (box) => setTriggerValue("chosen", box))
  if (there) there.replaceWith(parts.root)
  else parentElement.append(parts.root)
}
