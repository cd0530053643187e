// Bars side by side, for the slider below them.

export default function (component) {
  const { data, parentElement } = component
  let chart = parentElement.querySelector(".bars")
  if (!chart) {
    chart = document.createElement("div")
    chart.className = "bars"
    chart.setAttribute("role", "img")
    parentElement.append(chart)
  }
  chart.setAttribute("aria-label", data.label)
  const highest = Math.max(1, ...data.counts)
  chart.replaceChildren(
    ...data.counts.map((count, at) => {
      const bar = document.createElement("span")
      bar.style.height = count ? `${Math.max(6, (100 * count) / highest)}%` : "0"
      bar.className = at >= data.first && at <= data.last ? "in" : "out"
      return bar
    }),
  )
}
