/** Lines over time as SVG, in one panel for each of several things that went on at the same time. */
import { colours, document, text } from "../support/svg.ts"

export interface Panel {
  readonly y: string
  /** Where the axis ends; lines are cut there. */
  readonly most: number
  readonly series: ReadonlyArray<{
    readonly name: string
    readonly points: ReadonlyArray<readonly [second: number, y: number]>
  }>
}

export interface TimeChartOptions {
  readonly title: string
  /** Where one phase ends and the next begins, in seconds, with what begins there. */
  readonly marks: ReadonlyArray<readonly [second: number, name: string]>
  readonly seconds: number
  readonly panels: ReadonlyArray<Panel>
}

const [width, panelHeight, left, right, top, gap] = [960, 220, 70, 20, 84, 26]

export const timeChart = ({ marks, panels, seconds, title }: TimeChartOptions): string => {
  const px = (second: number) => left + (second / seconds) * (width - left - right)
  const bottom = top + panels.length * (panelHeight + gap)
  const names = panels[0]!.series.map(({ name }) => name)
  const each = (width - left - right) / names.length
  const legend = names.map((name, i) => {
    const x = left + i * each
    return `<rect x="${x}" y="38" width="12" height="12" fill="${colours[i % colours.length]}"/>${text(x + 17, 48, name, "start")}`
  })
  const phases = marks.map(
    ([second, name]) =>
      `<path d="M${px(second).toFixed(1)} ${top}V${bottom - gap}" stroke="#999" stroke-dasharray="4 3"/>${text(px(second) + 3, top - 6, name, "start")}${text(px(second), bottom - gap + 16, String(second), "middle")}`
  )
  const drawn = panels.map(({ most, series, y }, index) => {
    const floor = top + index * (panelHeight + gap) + panelHeight
    const py = (value: number) => floor - (Math.min(value, most) / most) * panelHeight
    const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
      const at = py(part * most)
      return `<path d="M${left} ${at}H${width - right}" stroke="#ddd"/>${text(left - 8, at + 4, String(part * most), "end")}`
    })
    const lines = series.map(({ points }, i) => {
      const path = points.map(([second, value]) => `${px(second).toFixed(1)} ${py(value).toFixed(1)}`).join("L")
      return `<path d="M${path}" fill="none" stroke="${colours[i % colours.length]}" stroke-width="1.5"/>`
    })
    const label = `<g transform="translate(16 ${floor - panelHeight / 2}) rotate(-90)">${text(0, 0, y, "middle")}</g>`
    return [...grid, ...lines, label].join("")
  })
  return document(width, bottom + 20, [
    `<text x="${left}" y="24" font-size="16" font-weight="bold">${title}</text>`,
    ...legend,
    ...phases,
    ...drawn,
    text((left + width - right) / 2, bottom + 10, "seconds", "middle")
  ])
}
