/** Bars in groups as SVG, on a linear axis from 0, with a line at a value to compare with. */
import { colours, document, text } from "./svg.ts"

export interface BarGroup {
  readonly name: string
  /** By the order of `series`; `undefined` leaves a gap. */
  readonly values: ReadonlyArray<number | undefined>
}

export interface BarChartOptions {
  readonly title: string
  readonly y: string
  readonly series: ReadonlyArray<string>
  readonly groups: ReadonlyArray<BarGroup>
  /** The value that a line is drawn at. */
  readonly reference: number
  /** Where the axis ends; a bar beyond is cut and says its value. */
  readonly most: number
}

const [width, height, left, right, top, bottom] = [960, 440, 60, 20, 90, 50]

/** Round steps, five to ten of them. */
const ticks = (max: number): ReadonlyArray<number> => {
  const rough = max / 8
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, i) => i * step)
}

/** `64 KiB, copied` takes two lines. */
const groupLabel = (x: number, name: string) =>
  name.split(", ").map((line, i) => text(x, height - bottom + 18 + 15 * i, line, "middle"))

const legend = (series: ReadonlyArray<string>) => {
  const each = (width - left - right) / series.length
  return series.map((name, i) => {
    const x = left + i * each
    return `<rect x="${x}" y="40" width="12" height="12" fill="${colours[i % colours.length]}"/>${text(x + 17, 50, name, "start")}`
  })
}

export const barChart = ({ groups, most: cap, reference, series, title, y }: BarChartOptions): string => {
  const highest = Math.max(reference, ...groups.flatMap(({ values }) => values.map((value) => value ?? 0)))
  const steps = ticks(Math.min(cap, highest))
  const end = steps.at(-1)!
  const py = (value: number) => height - bottom - (Math.min(value, end) / end) * (height - top - bottom)
  const groupWidth = (width - left - right) / groups.length
  const barWidth = (groupWidth * 0.82) / series.length
  const bars = groups.map(({ name, values }, g) => {
    const from = left + g * groupWidth + groupWidth * 0.09
    const rects = values.map((value, i) => {
      if (value === undefined) return ""
      const [x, up] = [(from + i * barWidth).toFixed(1), py(value).toFixed(1)]
      const tall = (height - bottom - py(value)).toFixed(1)
      const label = value > end ? text(from + (i + 0.5) * barWidth, top - 5, value.toPrecision(2), "middle") : ""
      return `<rect x="${x}" y="${up}" width="${(barWidth - 1).toFixed(1)}" height="${tall}" fill="${colours[i % colours.length]}"/>${label}`
    })
    return [...rects, ...groupLabel(left + (g + 0.5) * groupWidth, name)].join("")
  })
  return document(width, height, [
    `<g stroke="#ddd">${steps.map((step) => `<path d="M${left} ${py(step).toFixed(1)}H${width - right}"/>`).join("")}</g>`,
    ...steps.map((step) => text(left - 8, py(step) + 4, String(Math.round(step * 100) / 100), "end")),
    `<g transform="translate(16 ${(top + height - bottom) / 2}) rotate(-90)">${text(0, 0, y, "middle")}</g>`,
    `<text x="${left}" y="26" font-size="16" font-weight="bold">${title}</text>`,
    ...legend(series),
    ...bars,
    `<path d="M${left} ${py(reference).toFixed(1)}H${width - right}" stroke="#333" stroke-dasharray="4 3"/>`
  ])
}
