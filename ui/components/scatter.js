// A map of many points with zoom, pan and selection, on a canvas without WebGL.

const FARTHEST = 400
const MARGIN = 0.04
const SPAN = 1 + 2 * MARGIN
const STEP = 1.5
const CLICK_PX = 4
const AROUND_PX = 10
const CORNERS = 24
const FEW = 20000
const ROUND = 2 * Math.PI

const element = (tag, className, text) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
const rounded = (value) => Math.round(clamp(value, 0, 1) * 1e4) / 1e4

const decode = (data) => {
  const numbers = new DataView(bytesOf(data.points).buffer)
  const count = numbers.byteLength / 4
  const x = new Float32Array(count)
  const y = new Float32Array(count)
  for (let at = 0; at < count; at += 1) {
    x[at] = numbers.getUint16(4 * at, true) / 65535
    y[at] = numbers.getUint16(4 * at + 2, true) / 65535
  }
  return { x, y }
}

const build = (data) => {
  const root = element("div", "map")
  root.dataset.key = data.key
  root.data = data
  root.places = decode(data)
  root.view = { x: -MARGIN, y: -MARGIN, zoom: 1 }
  root.mode = "box"
  root.drawn = []
  const bar = element("div", "bar")
  bar.setAttribute("role", "toolbar")
  bar.setAttribute("aria-label", data.words.tools)
  for (const name of ["box", "shape", "move", "closer", "farther", "all"]) {
    const button = element("button", "tool", data.words[name])
    button.type = "button"
    button.dataset.name = name
    bar.append(button)
  }
  const canvas = element("canvas")
  canvas.tabIndex = 0
  canvas.setAttribute("role", "img")
  canvas.setAttribute("aria-label", data.alt)
  root.append(bar, canvas)
  return root
}

const toPixels = (root, x, y) => {
  const { view, wide, high } = root
  const scale = view.zoom / SPAN
  return [(x - view.x) * scale * wide, high - (y - view.y) * scale * high]
}

const toMap = (root, across, down) => {
  const { view, wide, high } = root
  const scale = view.zoom / SPAN
  return [across / (scale * wide) + view.x, (high - down) / (scale * high) + view.y]
}

const drawPoints = (root, pen) => {
  const { x, y } = root.places
  const size = root.data.size * Math.sqrt(Math.sqrt(root.view.zoom))
  const round = x.length <= FEW
  pen.globalAlpha = 0.8
  let at = 0
  for (const group of root.data.groups) {
    pen.fillStyle = group.color
    pen.beginPath()
    for (const end = at + group.count; at < end; at += 1) {
      const [across, down] = toPixels(root, x[at], y[at])
      if (across < -size || down < -size || across > root.wide + size || down > root.high + size) continue
      if (!round) pen.fillRect(across - size / 2, down - size / 2, size, size)
      else {
        pen.moveTo(across + size / 2, down)
        pen.arc(across, down, size / 2, 0, ROUND)
      }
    }
    pen.fill()
  }
  pen.globalAlpha = 1
}

const drawNames = (root, pen, style) => {
  pen.font = `600 13px ${style.getPropertyValue("--st-font") || "sans-serif"}`
  pen.textAlign = "center"
  pen.textBaseline = "middle"
  const taken = []
  for (const { x, y, text } of root.data.names) {
    const [across, down] = toPixels(root, x, y)
    const half = pen.measureText(text).width / 2 + 4
    const middle = root.view.zoom > 1 ? across : clamp(across, half, root.wide - half)
    if (taken.some((other) => Math.abs(other.middle - middle) < other.half + half && Math.abs(other.down - down) < 20))
      continue
    taken.push({ middle, down, half })
    pen.globalAlpha = 0.82
    pen.fillStyle = style.getPropertyValue("--st-background-color")
    pen.fillRect(middle - half, down - 10, 2 * half, 20)
    pen.globalAlpha = 1
    pen.fillStyle = style.getPropertyValue("--st-text-color")
    pen.fillText(text, middle, down)
  }
}

const drawSelection = (root, pen, style) => {
  const corners = root.drawn.length ? root.drawn : root.data.selected
  if (corners.length < 2) return
  const [[x1, y1], [x2, y2]] = corners
  const ring = corners.length > 2 ? corners : [[x1, y1], [x1, y2], [x2, y2], [x2, y1]]
  pen.beginPath()
  for (const corner of ring) pen.lineTo(...toPixels(root, ...corner))
  pen.closePath()
  pen.lineWidth = 2
  pen.strokeStyle = style.getPropertyValue("--st-text-color")
  pen.setLineDash([6, 4])
  pen.stroke()
  pen.setLineDash([])
}

const draw = (root) => {
  const canvas = root.querySelector("canvas")
  const ratio = window.devicePixelRatio || 1
  root.wide = canvas.clientWidth
  root.high = canvas.clientHeight
  if (!root.wide || !root.high) return
  canvas.width = Math.round(root.wide * ratio)
  canvas.height = Math.round(root.high * ratio)
  const pen = canvas.getContext("2d")
  const style = getComputedStyle(root)
  pen.scale(ratio, ratio)
  drawPoints(root, pen)
  drawNames(root, pen, style)
  drawSelection(root, pen, style)
  for (const button of root.querySelectorAll("button"))
    if (["box", "shape", "move"].includes(button.dataset.name))
      button.setAttribute("aria-pressed", String(button.dataset.name === root.mode))
}

const later = (root) => {
  if (root.isDue) return
  root.isDue = true
  requestAnimationFrame(() => {
    root.isDue = false
    draw(root)
  })
}

const look = (root, x, y, zoom) => {
  const closeness = clamp(zoom, 1, FARTHEST)
  const most = SPAN - MARGIN - SPAN / closeness
  root.view = { x: clamp(x, -MARGIN, most), y: clamp(y, -MARGIN, most), zoom: closeness }
  later(root)
}

const zoomAt = (root, across, down, factor) => {
  const [x, y] = toMap(root, across, down)
  const zoom = clamp(root.view.zoom * factor, 1, FARTHEST)
  const scale = zoom / SPAN
  look(root, x - across / (scale * root.wide), y - (root.high - down) / (scale * root.high), zoom)
}

const onPointers = (root, canvas, pick) => {
  const down = new Map()
  const place = (event) => {
    const box = canvas.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }
  let start = null
  canvas.onpointerdown = (event) => {
    if (event.button > 0) return
    canvas.setPointerCapture(event.pointerId)
    down.set(event.pointerId, place(event))
    start = down.size === 1 ? place(event) : null
    root.drawn = []
  }
  canvas.onpointermove = (event) => {
    const before = down.get(event.pointerId)
    if (!before) return
    const now = place(event)
    down.set(event.pointerId, now)
    if (down.size === 2) {
      const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at)
      const apart = (at) => Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]))
      zoomAt(root, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2, apart(now) / apart(before))
    } else if (root.mode === "move" && down.size === 1) {
      const [x, y] = toMap(root, before[0] - now[0], root.high + before[1] - now[1])
      look(root, x, y, root.view.zoom)
    } else if (start && root.mode === "box") root.drawn = [toMap(root, ...start), toMap(root, ...now)]
    else if (start) root.drawn.push(toMap(root, ...now))
    later(root)
  }
  canvas.onpointerup = (event) => {
    const end = down.get(event.pointerId)
    down.delete(event.pointerId)
    if (!start || !end) return
    const [across, under] = start
    start = null
    if (Math.hypot(end[0] - across, end[1] - under) < CLICK_PX && root.drawn.length < CORNERS)
      pick([toMap(root, across - AROUND_PX, under - AROUND_PX), toMap(root, across + AROUND_PX, under + AROUND_PX)])
    else if (root.drawn.length > 1 && root.mode !== "move") pick(root.drawn)
    later(root)
  }
  canvas.onpointercancel = (event) => {
    down.delete(event.pointerId)
    start = null
    root.drawn = []
    later(root)
  }
  canvas.onwheel = (event) => {
    event.preventDefault()
    zoomAt(root, ...place(event), event.deltaY < 0 ? STEP : 1 / STEP)
  }
}

const act = (root, name) => {
  const { view } = root
  if (name === "closer" || name === "farther")
    zoomAt(root, root.wide / 2, root.high / 2, name === "closer" ? STEP : 1 / STEP)
  else if (name === "all") look(root, -MARGIN, -MARGIN, 1)
  else if (name === "left" || name === "right")
    look(root, view.x + (name === "left" ? -0.2 : 0.2) / view.zoom, view.y, view.zoom)
  else if (name === "up" || name === "down")
    look(root, view.x, view.y + (name === "down" ? -0.2 : 0.2) / view.zoom, view.zoom)
  else root.mode = name
  later(root)
}

const KEYS = {
  "+": "closer", "=": "closer", "-": "farther", 0: "all",
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  let root = parentElement.querySelector(".map")
  if (!root || root.dataset.key !== data.key) {
    const fresh = build(data)
    if (root) root.replaceWith(fresh)
    else parentElement.append(fresh)
    root = fresh
  }
  root.data = data
  root.drawn = []
  const canvas = root.querySelector("canvas")
  onPointers(root, canvas, (corners) => {
    const every = Math.ceil(corners.length / CORNERS)
    const kept = corners.length > 2 ? corners.filter((_, at) => at % every === 0) : corners
    setTriggerValue("picked", kept.map((corner) => corner.map(rounded)))
  })
  root.querySelector(".bar").onclick = (event) => {
    const button = event.target.closest("button")
    if (button) act(root, button.dataset.name)
  }
  canvas.onkeydown = (event) => {
    const name = KEYS[event.key]
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    act(root, name)
  }
  // Streamlit calls this function at every change of the data, and the returned function only at the end
  parentElement.listening?.abort()
  parentElement.listening = new AbortController()
  const { signal } = parentElement.listening
  const redraw = () => later(root)
  const watcher = new ResizeObserver(redraw)
  watcher.observe(canvas)
  signal.addEventListener("abort", () => watcher.disconnect())
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal })
  later(root)
  return () => parentElement.listening.abort()
}
