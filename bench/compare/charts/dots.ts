/**
 * Rows of figures that lie orders of magnitude apart: a dot on a logarithmic axis for each, in one or more panels beside each other. Dots and
 * not bars, since the length of a bar on such an axis means nothing.
 */
import { document, text } from "../../support/svg.ts"
import { colourOf, escape, figure, legend, powers, title as titleOf } from "./chart.ts"

export interface Panel {
  readonly name: string
  readonly rows: ReadonlyArray<ReadonlyArray<number | null>>
}

export interface DotChart {
  readonly title: string
  /** What the dots of a row are, in the order of the figures. */
  readonly kinds: ReadonlyArray<string>
  readonly rows: ReadonlyArray<string>
  readonly panels: ReadonlyArray<Panel>
}

const [width, left, right, top, rowHeight, gap] = [960, 170, 30, 92, 30, 60]

/** The first kind is filled, the others are rings: what is claimed must not look like what is measured. */
const mark = (kind: number) => (x: number, y: number) => {
  const colour = colourOf(kind)
  const fill = kind === 0 ? colour : "#fff"
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="5" fill="${fill}" stroke="${colour}" stroke-width="2"/>`
}

const axis = (from: number, to: number, place: (value: number) => number, bottom: number): string => {
  const ticks: Array<number> = []
  for (let tick = from; tick <= to * 1.001; tick *= 10) ticks.push(tick)
  const line = (tick: number) => `<path d="M${place(tick).toFixed(1)} ${top - 8}V${bottom}" stroke="#ddd"/>`
  return ticks.map((tick) => `${line(tick)}${text(place(tick), bottom + 16, figure(tick), "middle")}`).join("")
}

const drawPanel = ({ name, rows }: Panel, x: number, wide: number): string => {
  const values = rows.flat().filter((value): value is number => value !== null && value > 0)
  const [from, to] = powers(values.length === 0 ? [1] : values)
  const place = (value: number) => x + (Math.log(value / from) / Math.log(to / from)) * wide
  const bottom = top + rows.length * rowHeight
  const dots = rows.map((row, i) => {
    const y = top + (i + 0.5) * rowHeight
    const marks = row.map((value, kind) => (value === null || value <= 0 ? "" : mark(kind)(place(value), y)))
    const [first] = row
    if (first === null || first === undefined || first <= 0)
      return `${marks.join("")}${text(x + 4, y + 4, "-", "start")}`
    const isLate = place(first) > x + wide * 0.8
    const label = text(place(first) + (isLate ? -9 : 9), y - 6, figure(first), isLate ? "end" : "start")
    return `<path d="M${x} ${y}H${x + wide}" stroke="#eee"/>${marks.toReversed().join("")}${label}`
  })
  const heading = `<g font-weight="bold">${text(x + wide / 2, top - 16, escape(name), "middle")}</g>`
  return [heading, axis(from, to, place, bottom), ...dots].join("")
}

export const dotChart = ({ kinds, panels, rows, title }: DotChart): string => {
  const wide = (width - left - right - (panels.length - 1) * gap) / panels.length
  const names = rows.map((row, i) => text(left - 14, top + (i + 0.5) * rowHeight + 4, escape(row), "end"))
  return document(width, top + rows.length * rowHeight + 34, [
    titleOf(title),
    ...legend(
      kinds.map((name, kind) => ({ name, mark: mark(kind) })),
      50
    ),
    ...names,
    ...panels.map((panel, i) => drawPanel(panel, left + i * (wide + gap), wide))
  ])
}
