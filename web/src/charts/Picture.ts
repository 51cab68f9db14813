/** A chart as a picture with title and legend, and files that the browser saves. */
import type { Line } from "./Chart.tsx"

export const download = (name: string, content: Blob): void => {
  const address = URL.createObjectURL(content)
  const link = document.createElement("a")
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

/** A chart's canvas under its title and above its legend, on the ground of the page. */
export const pictureOf = (
  chart: HTMLCanvasElement,
  title: string,
  lines: ReadonlyArray<Line>
): Promise<Blob | null> => {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const scale = chart.width / Math.max(1, chart.clientWidth)
  const margin = 20 * scale
  const row = 20 * scale
  const columns = Math.max(1, Math.floor(chart.clientWidth / 200))
  const picture = document.createElement("canvas")
  picture.width = chart.width + 2 * margin
  picture.height = chart.height + 3 * margin + row * (1 + Math.ceil(lines.length / columns))
  const context = picture.getContext("2d")
  if (context === null) return Promise.resolve(null)
  const { fontFamily } = getComputedStyle(document.body)
  context.fillStyle = colour("surface")
  context.fillRect(0, 0, picture.width, picture.height)
  context.fillStyle = colour("ink")
  context.textBaseline = "top"
  context.font = `600 ${14 * scale}px ${fontFamily}`
  context.fillText(title, margin, margin, chart.width)
  context.drawImage(chart, margin, margin + 1.6 * row)
  context.font = `${12 * scale}px ${fontFamily}`
  const width = chart.width / columns
  for (const [n, line] of lines.toReversed().entries()) {
    const x = margin + (n % columns) * width
    const y = margin + 2 * row + chart.height + Math.floor(n / columns) * row
    context.fillStyle = line.colour
    context.fillRect(x, y + 2 * scale, 10 * scale, line.over === true ? 2 * scale : 10 * scale)
    context.fillStyle = colour("ink")
    context.fillText(line.label, x + 16 * scale, y, width - 26 * scale)
  }
  return new Promise((done) => picture.toBlob(done, "image/png"))
}
