/** Who waits how long: for each server three clients as bars over time, from when a client came to when it had its answer. */
import { document, text } from "../../support/svg.ts"
import { escape, legend, title as titleOf } from "./chart.ts"

export interface Wait {
  readonly name: string
  /** Milliseconds. */
  readonly from: number
  readonly to: number
  /** Of the answer; 0 if there was none. */
  readonly status: number
}

export interface WaitPanel {
  readonly name: string
  /** The waits of each server, in the order of `rows`. */
  readonly rows: ReadonlyArray<ReadonlyArray<Wait>>
}

export interface WaitChart {
  readonly title: string
  readonly rows: ReadonlyArray<string>
  readonly panels: ReadonlyArray<WaitPanel>
}

const [width, left, right, top, lane, gap] = [960, 150, 70, 96, 15, 96]
/** The slow client is grey: it waits for what it asked for. */
const colours = ["#adb5bd", "#0b7285", "#e8590c"]
const failed = "#c92a2a"

/** How long it took, or what came of it. */
const outcome = ({ from, status, to }: Wait): string => {
  if (status === 200) return millis(to - from)
  return status === 0 ? "no answer" : `answered ${status}`
}

const millis = (value: number): string =>
  value >= 1000 ? `${(value / 1000).toFixed(2)} s` : value >= 10 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`

const step = (end: number): number => {
  const rough = end / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!
}

const drawPanel = ({ name, rows }: WaitPanel, x: number, wide: number): string => {
  const end = Math.max(...rows.flat().map(({ to }) => to))
  const place = (at: number) => x + (at / end) * wide
  const block = 3 * lane + 14
  const bottom = top + rows.length * block
  const ticks = Array.from({ length: Math.floor(end / step(end)) + 1 }, (_, i) => i * step(end))
  const grid = ticks.map(
    (tick) =>
      `<path d="M${place(tick).toFixed(1)} ${top - 6}V${bottom}" stroke="#ddd"/>${text(place(tick), bottom + 16, `${tick / 1000} s`, "middle")}`
  )
  const bars = rows.map((waits, row) =>
    waits
      .map((wait, i) => {
        const { from, status, to } = wait
        const y = top + row * block + i * lane
        const colour = status === 200 ? colours[i % colours.length] : failed
        const long = Math.max(2, place(to) - place(from)).toFixed(1)
        return `<rect x="${place(from).toFixed(1)}" y="${y}" width="${long}" height="${lane - 3}" fill="${colour}"/>${text(place(to) + 5, y + 10, outcome(wait), "start")}`
      })
      .join("")
  )
  const heading = `<g font-weight="bold">${text(x + wide / 2, top - 16, escape(name), "middle")}</g>`
  return [heading, ...grid, ...bars].join("")
}

export const waitChart = ({ panels, rows, title }: WaitChart): string => {
  const block = 3 * lane + 14
  const wide = (width - left - right - (panels.length - 1) * gap) / panels.length
  const clients = panels[0]?.rows[0]?.map(({ name }) => name) ?? []
  const swatch = (colour: string) => (x: number, y: number) =>
    `<rect x="${x - 6}" y="${y - 6}" width="12" height="12" fill="${colour}"/>`
  return document(width, top + rows.length * block + 30, [
    titleOf(title),
    ...legend(
      clients.map((name, i) => ({ name, mark: swatch(colours[i % colours.length]!) })),
      50
    ),
    ...rows.map((row, i) => text(left - 14, top + i * block + 1.5 * lane + 3, escape(row), "end")),
    ...panels.map((panel, i) => drawPanel(panel, left + i * (wide + gap), wide))
  ])
}
