// Bars over time, selected by a click, a drag, or arrow keys and Enter.

const LABELS = 8

const element = (tag, className, text) => {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const build = (data) => {
  const root = element("div", "timeline")
  const bars = element("div", "bars")
  bars.setAttribute("role", "group")
  bars.setAttribute("aria-label", data.label)
  const scale = element("div", "scale")
  scale.setAttribute("aria-hidden", "true")
  const most = Math.max(1, ...data.bars.map((bar) => bar.count))
  const every = Math.ceil(data.bars.length / LABELS)
  data.bars.forEach((bar, at) => {
    const button = element("button", "bar")
    button.type = "button"
    button.tabIndex = -1
    button.title = bar.label
    button.setAttribute("aria-label", bar.label)
    button.style.setProperty("--share", bar.count / most)
    bars.append(button)
    if (at % every === 0) {
      const mark = element("span", "mark", bar.mark)
      mark.style.left = `${(100 * at) / data.bars.length}%`
      scale.append(mark)
    }
  })
  root.append(element("span", "most", data.most), bars, scale)
  return root
}

const show = (buttons, first, last) =>
  buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at >= first && at <= last)))

const connect = (root, pick) => {
  const bars = root.querySelector(".bars")
  const buttons = [...bars.children]
  const chosen = () => {
    const { first, last } = root.data
    return [first, last]
  }
  const barAt = (event) => {
    const bounds = bars.getBoundingClientRect()
    const share = (event.clientX - bounds.left) / bounds.width
    return Math.min(buttons.length - 1, Math.max(0, Math.floor(share * buttons.length)))
  }
  const enter = (next) => {
    for (const button of buttons) button.tabIndex = -1
    next.tabIndex = 0
  }
  const range = (one, other) => [Math.min(one, other), Math.max(one, other)]
  const choose = (first, last) => {
    const [before, after] = chosen()
    // selecting the selection again clears it
    const next = first === before && last === after ? [0, buttons.length - 1] : [first, last]
    pick(next)
  }
  let start
  bars.onpointerdown = (event) => {
    if (event.button > 0) return
    bars.setPointerCapture(event.pointerId)
    start = barAt(event)
    show(buttons, start, start)
  }
  bars.onpointermove = (event) => {
    if (start !== undefined) show(buttons, ...range(start, barAt(event)))
  }
  bars.onpointerup = (event) => {
    if (start === undefined) return
    enter(buttons[start])
    choose(...range(start, barAt(event)))
    start = undefined
  }
  bars.onpointercancel = () => {
    start = undefined
    show(buttons, ...chosen())
  }
  bars.onclick = (event) => {
    const at = buttons.indexOf(event.target.closest("button"))
    if (event.detail === 0 && at >= 0) choose(at, at) // by a key: pointer events are handled above
  }
  bars.onkeydown = (event) => {
    const at = buttons.indexOf(event.target.closest("button"))
    const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }
    const next = buttons[steps[event.key]]
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    enter(next)
    next.focus()
  }
  enter(buttons[0])
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const made = JSON.stringify(data.bars)
  let root = parentElement.querySelector(".timeline")
  if (root?.dataset.made !== made) {
    const fresh = build(data)
    fresh.dataset.made = made
    connect(fresh, (bars) => setTriggerValue("picked", bars))
    if (root) root.replaceWith(fresh)
    else parentElement.append(fresh)
    root = fresh
  }
  root.data = data
  show([...root.querySelectorAll("button")], data.first, data.last)
}
