/** A line chart as SVG with logarithmic axes: good enough to see an exponent. */
import { colours, document, text } from "./svg.ts"

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface ChartOptions {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly series: ReadonlyArray<Series>
}

const [width, height, left, right, top, bottom] = [720, 420, 80, 30, 50, 60]

const powersOfTen = (from: number, to: number): ReadonlyArray<number> => {
  const powers: Array<number> = []
  for (let e = Math.floor(Math.log10(from)); e <= Math.ceil(Math.log10(to)); e++) powers.push(10 ** e)
  return powers
}

export const lineChart = ({ series, title, x, y }: ChartOptions): string => {
  const points = series.flatMap((line) => line.points)
  const xs = powersOfTen(Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x)))
  const ys = powersOfTen(Math.min(...points.map(([, y]) => y)), Math.max(...points.map(([, y]) => y)))
  const scale = (value: number, ticks: ReadonlyArray<number>) => {
    const [first, last] = [Math.log10(ticks[0]!), Math.log10(ticks.at(-1)!)]
    return (Math.log10(value) - first) / (last - first || 1)
  }
  const px = (value: number) => left + scale(value, xs) * (width - left - right)
  const py = (value: number) => height - bottom - scale(value, ys) * (height - top - bottom)
  const grid = [
    ...xs.map((tick) => `<path d="M${px(tick)} ${top}V${height - bottom}"/>`),
    ...ys.map((tick) => `<path d="M${left} ${py(tick)}H${width - right}"/>`)
  ]
  const labels = [
    ...xs.map((tick) => text(px(tick), height - bottom + 18, tick.toLocaleString("en"), "middle")),
    ...ys.map((tick) => text(left - 8, py(tick) + 4, tick.toLocaleString("en"), "end")),
    text((left + width - right) / 2, height - 14, x, "middle"),
    `<g transform="translate(18 ${(top + height - bottom) / 2}) rotate(-90)">${text(0, 0, y, "middle")}</g>`,
    `<text x="${left}" y="26" font-size="16" font-weight="bold">${title}</text>`
  ]
  const lines = series.map((line, i) => {
    const colour = colours[i % colours.length]!
    const path = line.points.map(([x, y]) => `${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("L")
    const [x, y] = line.points.at(-1)!
    const dots = line.points
      .map(([x, y]) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3"/>`)
      .join("")
    const name = text(px(x) - 8, py(y) - 8, line.name, "end")
    return `<g fill="${colour}"><path d="M${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}${name}</g>`
  })
  return document(width, height, [`<g stroke="#ddd">${grid.join("")}</g>`, ...labels, ...lines])
}
