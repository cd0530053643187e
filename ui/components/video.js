// A video that starts at a moment, its frames over time, and the curve of how well they match.

const SVG = "http://www.w3.org/2000/svg"
const STEP_S = 1

const element = (tag, className, text) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const clock = (seconds) => {
  const whole = Math.floor(seconds)
  const pad = (number) => String(number).padStart(2, "0")
  const minutes = Math.floor(whole / 60)
  return minutes < 60
    ? `${minutes}:${pad(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`
}

const curveOf = (data) => {
  const svg = document.createElementNS(SVG, "svg")
  svg.setAttribute("class", "curve")
  svg.setAttribute("viewBox", "0 0 1000 100")
  svg.setAttribute("preserveAspectRatio", "none")
  svg.setAttribute("aria-hidden", "true")
  const line = document.createElementNS(SVG, "polyline")
  const low = Math.min(...data.scores)
  const range = Math.max(...data.scores) - low || 1
  const points = []
  data.scores.forEach((score, place) => {
    const height = 95 - (90 * (score - low)) / range
    const until = data.times[place + 1] ?? data.duration
    // a frame stands for the time up to the next one
    points.push(`${(1000 * data.times[place]) / data.duration},${height}`, `${(1000 * until) / data.duration},${height}`)
  })
  line.setAttribute("points", points.join(" "))
  svg.append(line)
  return svg
}

const stripOf = (data) => {
  const strip = element("div", "strip")
  strip.tabIndex = 0
  strip.setAttribute("role", "slider")
  strip.setAttribute("aria-label", data.words.strip)
  strip.setAttribute("aria-valuemin", "0")
  strip.setAttribute("aria-valuemax", String(Math.floor(data.duration)))
  const frames = element("div", "frames")
  for (const frame of data.frames) {
    const image = element("img")
    image.alt = ""
    image.title = frame.label
    image.loading = "lazy"
    image.src = frame.source
    frames.append(image)
  }
  strip.append(frames)
  if (data.scores.length) strip.append(curveOf(data))
  for (const moment of data.moments) {
    const made = element("div", "moment")
    made.style.left = `${(100 * moment.start) / data.duration}%`
    made.style.width = `${(100 * (moment.end - moment.start)) / data.duration}%`
    made.title = moment.label
    strip.append(made)
  }
  return strip
}

const build = (data, choose) => {
  const root = element("div", "video")
  const stage = element("div", "stage")
  stage.style.aspectRatio = data.aspect
  stage.style.setProperty("--aspect-number", data.aspect)
  root.append(stage)
  let at = data.at

  const still = (source) => {
    const image = element("img")
    image.alt = data.alt
    image.src = source
    stage.replaceChildren(image)
  }
  if (!data.source || data.is_picture) {
    still(data.source || data.poster)
    if (!data.source) root.append(element("p", "note", data.words.offline))
  }
  const video = data.source && !data.is_picture ? element("video") : null
  const strip = data.source ? stripOf(data) : null
  const cursor = element("div", "cursor")
  const time = element("span", "time")
  const show = (seconds) => {
    at = Math.min(Math.max(seconds, 0), data.duration)
    cursor.style.left = `${(100 * at) / data.duration}%`
    time.textContent = `${clock(at)} / ${clock(data.duration)}`
    strip?.setAttribute("aria-valuenow", String(Math.floor(at)))
    strip?.setAttribute("aria-valuetext", clock(at))
  }
  if (video) {
    video.controls = true
    video.preload = "metadata"
    video.playsInline = true
    video.setAttribute("aria-label", `${data.words.player}: ${data.alt}`)
    video.poster = data.poster
    // a fragment of the address makes the browser ask for the bytes from there
    video.src = `${data.source}#t=${data.start.toFixed(3)}`
    video.onloadedmetadata = () => {
      video.currentTime = data.start
    }
    video.ontimeupdate = () => show(video.currentTime)
    video.onerror = () => {
      const nearest = data.frames.reduce((best, frame) =>
        Math.abs(frame.at - at) < Math.abs(best.at - at) ? frame : best)
      still(nearest.source)
      stage.after(element("p", "note", data.words.cannot_play))
    }
    stage.append(video)
  }
  const seek = (seconds) => {
    show(seconds)
    if (video?.isConnected) video.currentTime = at
  }
  if (strip) {
    strip.append(cursor)
    strip.onclick = (event) => {
      const bounds = strip.getBoundingClientRect()
      seek((data.duration * (event.clientX - bounds.left)) / bounds.width)
    }
    strip.onkeydown = (event) => {
      const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S }[event.key]
      if (!step) return
      event.preventDefault()
      event.stopPropagation()
      seek(at + step)
    }
    const row = element("div", "row")
    const like = element("button", "like", data.words.like)
    like.type = "button"
    like.onclick = () => choose(at.toFixed(3))
    row.append(time, like)
    root.append(strip, row)
  }
  show(data.start)
  return root
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const made = JSON.stringify(data)
  const before = parentElement.querySelector(".video")
  if (before?.dataset.made === made) return
  const root = build(data, (seconds) => setTriggerValue("chosen", seconds))
  root.dataset.made = made
  if (before) before.replaceWith(root)
  else parentElement.append(root)
}
