/** The charts of the server itself. They share their time: a crosshair or a zoom in one is in all. */
import { rhythm } from "../../live/figures.ts"
import type { Figure, Hello, Point } from "../../live/figures.ts"
import { cards } from "../cards.ts"
import type { Card } from "../cards.ts"
import { formatValue } from "../format.ts"
import { announce } from "./announcer.ts"
import { Chart } from "./chart.ts"
import type { View } from "./chart.ts"
import { formatTime } from "./clock.ts"
import { find, findAll, setText } from "./elements.ts"
import { History } from "./history.ts"
import { listenToKeys, scaled } from "./keys.ts"
import { connectToolbar } from "./toolbar.ts"

/** What a chart reaches at the least, by its unit, so that nothing looks like much. */
const reaches: Readonly<Record<string, number>> = { _per_second: 10, _seconds: 0.01, "": 4 }

/** The shortest time that can be zoomed into, in milliseconds. */
const minSpan = 5000

/** How often the texts that stand for the charts change, in milliseconds. */
const describeInterval = 10_000

interface Drawn {
  readonly card: Card
  readonly chart: Chart
  readonly host: HTMLElement
  readonly at: HTMLElement
  readonly values: ReadonlyArray<HTMLElement>
}

export class Overview {
  #history = new History(rhythm.interval, rhythm.keep)
  readonly #drawn: ReadonlyArray<Drawn>
  readonly #setZoomed: (zoomed: boolean) => void
  #keep: number = rhythm.keep
  #workers = 0
  #span: number
  #zoom: View | undefined
  /** The chart whose crosshair the others follow. */
  #pointed: Chart | undefined
  #describedAt = -Infinity

  constructor(section: HTMLElement) {
    const spans = findAll("input[name=span]", HTMLInputElement, section)
    const chosen = () => Number(spans.find(({ checked }) => checked)?.value)
    this.#span = chosen()
    for (const span of spans) {
      span.addEventListener("change", () => {
        this.#span = chosen()
        this.#reset()
      })
    }
    this.#setZoomed = connectToolbar(section, {
      scale: (factor) => this.#scale(factor, this.#around(factor)),
      reset: () => this.#reset()
    })
    this.#drawn = cards.map((card) => this.#make(card))
    this.draw()
  }

  greet({ interval, keep, workers }: Hello): void {
    if (keep * interval !== this.#keep) {
      this.#keep = keep * interval
      this.#history = new History(interval, this.#keep)
    }
    this.#workers = workers
  }

  add(points: ReadonlyArray<Point>): void {
    this.#history.add(points)
    this.draw()
  }

  draw(): void {
    const { times } = this.#history
    const view = this.#view
    for (const { card, chart } of this.#drawn) {
      chart.show([times, ...card.lines.toReversed().map(({ figure }) => this.#history.column(figure))], view)
    }
    const latest = this.#history.latest ?? 0
    const describes = latest - this.#describedAt >= describeInterval
    if (describes) this.#describedAt = latest
    if (describes) for (const drawn of this.#drawn) this.#describe(drawn)
    this.#pointAll()
  }

  get #view(): View {
    const to = this.#history.latest ?? Date.now()
    return this.#zoom ?? { from: to - this.#span, to }
  }

  #make(card: Card): Drawn {
    const figure = find(`#card-${card.id}`, HTMLElement)
    const host = find(".plot", HTMLElement, figure)
    const chart = new Chart({
      host,
      // The first is drawn last, above the others, which it hides where all are the same.
      lines: card.lines.map(({ color }, index) => ({ color, width: 1.5, filled: index === 0 })).toReversed(),
      format: (value) => formatValue(card.unit, value),
      reach: reaches[card.unit]!,
      bridge: () => 5000,
      onCursor: (row) => this.#point(chart, row),
      onZoom: (view) => this.#zoomTo(view),
      onReset: () => this.#reset()
    })
    listenToKeys(host, chart, {
      zoom: (view) => this.#zoomTo(view),
      scale: (factor, around) => this.#scale(factor, around),
      reset: () => this.#reset(),
      say: () => announce(this.#reading(card, chart.row))
    })
    host.addEventListener("blur", () => chart.unselect())
    const values = card.lines.map(({ figure: name }) => find(`[data-figure="${name}"]`, HTMLElement, figure))
    return { card, chart, host, at: find(".at", HTMLElement, figure), values }
  }

  /** The crosshair of a chart was moved: so it is in the others. */
  #point(chart: Chart, row: number | undefined): void {
    this.#pointed = row === undefined ? undefined : chart
    this.#pointAll()
  }

  #pointAll(): void {
    const row = this.#pointed?.row
    const time = row === undefined ? undefined : this.#history.times[row]
    for (const drawn of this.#drawn) {
      if (drawn.chart !== this.#pointed) drawn.chart.point(time)
      this.#showValues(drawn, row)
    }
  }

  #showValues({ at, card, values }: Drawn, row: number | undefined): void {
    const shown = row ?? this.#history.times.length - 1
    const time = this.#history.times[shown]
    for (const [index, { figure }] of card.lines.entries()) setText(values[index]!, this.#format(card, figure, shown))
    setText(at, row === undefined || time === undefined ? "" : formatTime(time, this.#keep))
  }

  #format({ unit }: Card, figure: Figure, row: number): string {
    const value = this.#history.column(figure)[row]
    if (value === undefined || value === null) return "–"
    const text = formatValue(unit, shortened(unit, value))
    return figure === "busy" ? `${text} of ${this.#workers}` : text
  }

  #reading(card: Card, row: number | undefined): string {
    if (row === undefined) return "nothing here"
    const values = card.lines.map(({ figure, label }) => `${label} ${this.#format(card, figure, row)}`)
    return `${formatTime(this.#history.times[row]!, this.#keep)}: ${values.join(", ")}`
  }

  /** What a reader who does not see the chart is told of it. */
  #describe({ card, host }: Drawn): void {
    const { from, to } = this.#view
    const rows = [...this.#history.times.keys()].filter((row) => {
      const time = this.#history.times[row]!
      return time >= from && time <= to
    })
    const values = card.lines.map(({ figure, label }) => {
      const column = this.#history.column(figure)
      const row = rows.reduce<number | undefined>((best, row) => {
        if (column[row] === null || column[row] === undefined) return best
        return best === undefined || column[row] > column[best]! ? row : best
      }, undefined)
      if (row === undefined) return `${label}: nothing`
      return `${label} ${this.#format(card, figure, rows.at(-1)!)}, at most ${this.#format(card, figure, row)}`
    })
    host.setAttribute("aria-label", `${card.title}: ${values.join("; ")}`)
  }

  /** What a zoom is around: the crosshair, or else what is newest, or the middle of what was zoomed into. */
  #around(factor: number): number {
    const row = this.#pointed?.row
    const { from, to } = this.#view
    if (row !== undefined) return this.#history.times[row] ?? to
    return this.#zoom === undefined && factor < 1 ? to : (from + to) / 2
  }

  #scale(factor: number, around: number): void {
    this.#zoomTo(scaled(this.#view, around, factor, minSpan))
  }

  #zoomTo({ from, to }: View): void {
    const newest = this.#history.latest
    const oldest = this.#history.times[0]
    if (newest === undefined || oldest === undefined) return
    const span = Math.max(minSpan, Math.min(to - from, this.#keep))
    if (span >= this.#keep) return this.#reset()
    const start = Math.max(oldest, Math.min((from + to - span) / 2, newest - span))
    this.#zoom = { from: start, to: start + span }
    this.#setZoomed(true)
    this.draw()
    announce(`zoomed to ${formatTime(this.#zoom.from, this.#keep)} until ${formatTime(this.#zoom.to, this.#keep)}`)
  }

  #reset(): void {
    const wasZoomed = this.#zoom !== undefined
    this.#zoom = undefined
    this.#setZoomed(false)
    this.draw()
    if (wasZoomed) announce("zoom reset: the charts follow the time again")
  }
}

/** No more digits than can be read while they change. */
const shortened = (unit: string, value: number): number =>
  unit === ""
    ? Number(value.toFixed(2))
    : Number(value < 10 && unit === "_per_second" ? value.toFixed(1) : value.toPrecision(3))
