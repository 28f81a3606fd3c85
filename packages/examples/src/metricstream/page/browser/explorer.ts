/** The chart of the chosen series: its percentiles, and the range of its values. */
import type { Change, Tail } from "../../live/figures.ts"
import { watchedAggregations } from "../../live/figures.ts"
import { bucketsOf, minZoom, rangeOf, toZoom } from "../address.ts"
import type { Address } from "../address.ts"
import { breakName, formatValue } from "../format.ts"
import { announce } from "./announcer.ts"
import { Buckets } from "./buckets.ts"
import type { Aggregation, Answer } from "./buckets.ts"
import { Chart } from "./chart.ts"
import type { DrawnLine, View } from "./chart.ts"
import { formatTime } from "./clock.ts"
import { find, setText } from "./elements.ts"
import { listenToKeys, scaled } from "./keys.ts"
import type { Steered } from "./keys.ts"
import { refusalOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import { connectToolbar } from "./toolbar.ts"

const lines: ReadonlyArray<DrawnLine & { readonly of: Aggregation }> = [
  { of: "min", color: "main", width: 0 },
  { of: "max", color: "main", width: 0 },
  { of: "p99", color: "second", width: 1.5 },
  { of: "p90", color: "third", width: 1.5 },
  // Above the others, which it hides where all are the same.
  { of: "p50", color: "main", width: 2 }
]

/** How long to wait at the least before a question is asked again that could not be answered, in milliseconds. */
const retryPause = 3000

export interface ExplorerOptions {
  readonly section: HTMLElement
  /** The server's time, in milliseconds since 1970. */
  readonly now: () => number
  /** How long events are kept, in milliseconds. */
  readonly keep: number
  /** The reader wants to see another part of time, or the range again. */
  readonly onZoom: (zoom: Address["zoom"]) => void
}

export class Explorer implements Steered {
  readonly #options: ExplorerOptions
  readonly #setZoomed: (zoomed: boolean) => void
  readonly #host: HTMLElement
  #chart: Chart | undefined
  #address: Address | undefined
  #buckets: Buckets | undefined
  #asking: AbortController | undefined
  #isAsking = false
  /** What came last while it is asked: it may be of later buckets than were asked for. */
  #newest: Tail | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  /** Why the last question was not answered. */
  #trouble = ""

  constructor(options: ExplorerOptions) {
    this.#options = options
    this.#host = find(".plot", HTMLElement, options.section)
    this.#setZoomed = connectToolbar(options.section, {
      scale: (factor) => this.#scale(factor, this.#around(factor)),
      reset: () => options.onZoom(undefined)
    })
    // Once: the element stays, whatever chart is in it.
    listenToKeys(this.#host, this, {
      zoom: (view) => this.#zoomTo(view),
      scale: (factor, around) => this.#scale(factor, around),
      reset: () => options.onZoom(undefined),
      say: () => announce(this.#reading(this.row))
    })
    this.#host.addEventListener("blur", () => this.unselect())
  }

  get view(): View {
    const address = this.#address!
    const now = this.#options.now()
    return address.zoom ?? { from: now - rangeOf(address).millis, to: now }
  }

  get times(): ReadonlyArray<number> {
    return this.#buckets?.times ?? []
  }

  get row(): number | undefined {
    return this.#chart?.row
  }

  select(row: number): void {
    this.#chart?.select(row)
  }

  unselect(): void {
    this.#chart?.unselect()
  }

  /** Shows what an address says. `latest` is the newest value of the series, as far as it is known. */
  show(address: Address, latest: string): void {
    const { series } = address
    const isOther = this.#address?.series !== series
    this.#address = address
    if (isOther) this.#choose(series)
    if (latest !== "") setText(this.#text("#latest"), latest)
    this.#setZoomed(address.zoom !== undefined)
    void this.#ask()
  }

  /** Asks again for everything, after a time without news. */
  refresh(): void {
    if (this.#address?.zoom === undefined) void this.#ask()
  }

  /** The newest value of the series. */
  news([name, , , value]: Change): void {
    if (name !== this.#address?.series) return
    setText(this.#text("#latest"), formatValue(name, value))
    if (this.#buckets === undefined && !this.#isAsking) this.#later()
  }

  tail(tail: Tail): void {
    const { series, zoom } = this.#address ?? { series: "", zoom: undefined }
    if (tail.name !== series || zoom !== undefined) return
    // What is asked already is not asked anew each second: where answers take longer, none would come.
    if (this.#isAsking) this.#newest = tail
    if (this.#buckets === undefined) return
    if (this.#buckets.merge(tail)) this.draw()
    else if (!this.#isAsking && this.#retry === undefined) void this.#ask()
  }

  /** Draws again, up to the present time. */
  draw(): void {
    const buckets = this.#buckets
    if (buckets === undefined || this.#chart === undefined) return
    const view = this.view
    buckets.forgetBefore(view.from - buckets.step)
    this.#chart.show([buckets.times, ...lines.map(({ of }) => buckets.column(of))], view)
    this.#showValues(this.row)
    this.#note(this.#trouble || this.#absence(buckets, this.#chart))
  }

  /** The chart is of another series: with its unit, and without what was drawn. */
  #choose(series: string): void {
    this.#buckets = undefined
    this.#chart?.destroy()
    this.#chart = undefined
    this.#options.section.hidden = series === ""
    this.#text("h2").innerHTML = breakName(series)
    setText(this.#text("#latest"), "")
    this.#trouble = ""
    this.#note("")
    if (series === "") return
    const chart = new Chart({
      host: this.#host,
      lines,
      band: [1, 0],
      format: (value) => formatValue(series, value),
      ...(series.endsWith("_percent") && { ceiling: 100 }),
      binary: /_bytes(_per_second)?$/.test(series),
      axisWidth: 68,
      // An event a second may miss a bucket of a second.
      bridge: () => 2.5 * (this.#buckets?.step ?? 0),
      marked: true,
      onCursor: (row) => this.#showValues(row),
      onZoom: ({ from, to }) => this.#zoomTo({ from, to }),
      onReset: () => this.#options.onZoom(undefined)
    })
    this.#chart = chart
    this.#host.setAttribute("aria-label", `${series}: loading`)
  }

  /** Asks the server for the buckets. A new question ends the one before. */
  async #ask(): Promise<void> {
    this.#asking?.abort()
    clearTimeout(this.#retry)
    this.#retry = undefined
    const { series } = this.#address!
    if (series === "") return
    const asking = new AbortController()
    this.#asking = asking
    this.#isAsking = true
    this.#newest = undefined
    const { from, step, to } = bucketsOf(this.#address!, this.#options.now())
    const query = new URLSearchParams({
      from: `${from}`,
      to: `${to}`,
      step: `${step}`,
      agg: watchedAggregations.join()
    })
    try {
      const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(15_000)])
      const response = await fetch(`/series/${encodeURIComponent(series)}?${query}`, { signal })
      const refusal = response.ok ? undefined : await refusalOf(response)
      const answer: unknown = refusal ?? (await response.json())
      if (asking.signal.aborted) return
      if (refusal === undefined) this.#take(answer as Answer)
      else this.#refused(refusal)
    } catch {
      // The server is not there, which the page says already; or the answer came too slowly.
      if (!asking.signal.aborted) this.#later()
    } finally {
      if (this.#asking === asking) this.#isAsking = false
    }
  }

  #take(answer: Answer): void {
    const buckets = new Buckets(answer)
    this.#buckets = buckets
    const tail = this.#newest
    if (tail !== undefined && buckets.endBefore(tail) && !buckets.merge(tail)) this.#later()
    this.#trouble = ""
    this.draw()
    this.#describe()
  }

  #refused({ mayPass, pause, status, words }: Refusal): void {
    this.#trouble = status === 404 ? "There is no series of this name yet." : words
    this.#note(this.#trouble)
    if (mayPass) this.#later(pause)
  }

  /** Why there is nothing to be seen, if there is nothing. */
  #absence(buckets: Buckets, chart: Chart): string {
    if (buckets.latest < 0) return "No events in this time."
    return chart.isDrawn ? "" : "Numbers this large cannot be drawn."
  }

  /** Asks again after a while. What comes meanwhile does not put it off. */
  #later(pause: number = 0): void {
    this.#retry ??= setTimeout(() => void this.#ask(), Math.max(retryPause, pause))
  }

  #showValues(row: number | undefined): void {
    const buckets = this.#buckets
    if (buckets === undefined) return
    const shown = row ?? buckets.latest
    for (const name of watchedAggregations) {
      setText(this.#text(`[data-of="${name}"]`), this.#format(name, buckets.column(name)[shown] ?? null))
    }
    const time = buckets.times[shown]
    setText(this.#text(".at"), time === undefined ? "" : `${this.#time(time)} + ${formatStep(buckets.step)}`)
  }

  #format(name: Aggregation, value: number | null): string {
    if (value === null) return "–"
    return name === "count" ? value.toLocaleString("en-US") : formatValue(this.#address!.series, value)
  }

  #time(time: number): string {
    return formatTime(time, Math.max(this.view.to - this.view.from, this.#options.now() - this.view.from))
  }

  #describe(): void {
    const { series } = this.#address!
    this.#host.setAttribute("aria-label", `${series}: ${this.#reading(this.#buckets!.latest)}`)
  }

  #reading(row: number | undefined): string {
    const buckets = this.#buckets
    if (buckets === undefined || row === undefined || row < 0) return "nothing here"
    const values = watchedAggregations.map((name) => `${name} ${this.#format(name, buckets.column(name)[row] ?? null)}`)
    return `${this.#time(buckets.times[row]!)}: ${values.join(", ")}`
  }

  /** What a zoom by the buttons is around: what is newest, or the middle of what was zoomed into. */
  #around(factor: number): number {
    const { from, to } = this.view
    return factor < 1 && this.#address?.zoom === undefined ? to : (from + to) / 2
  }

  #scale(factor: number, around: number): void {
    this.#zoomTo(scaled(this.view, around, factor, minZoom))
  }

  #zoomTo(view: View): void {
    this.#options.onZoom(toZoom(view, this.#options.now(), this.#options.keep))
  }

  #text(selector: string): HTMLElement {
    return find(selector, HTMLElement, this.#options.section)
  }

  #note(text: string): void {
    setText(this.#text(".note"), text)
  }
}

const formatStep = (millis: number): string => {
  const sizes = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"]
  ] as const
  const [size, unit] = sizes.find(([size]) => millis >= size && millis % size === 0) ?? [1, "ms"]
  return `${millis / size} ${unit}`
}
