/** A chart of uPlot with what uPlot does not have: the page's colours, and the use of it by keyboard and by touch. */
import uPlot from "uplot"
import type { Color } from "../cards.ts"
import { formatTick } from "./clock.ts"
import { markWidth, unseen } from "./marks.ts"
import { onThemeChange, themed } from "./theme.ts"

export interface DrawnLine {
  readonly color: Color
  /** Pixels; 0 draws none, for the edges of a band. */
  readonly width: number
  readonly filled?: boolean
}

/** A part of time, in milliseconds since 1970. */
export interface View {
  readonly from: number
  readonly to: number
}

export interface ChartOptions {
  readonly host: HTMLElement
  readonly lines: ReadonlyArray<DrawnLine>
  /** Filled between two lines, by their numbers. */
  readonly band?: readonly [upper: number, lower: number]
  readonly format: (value: number) => string
  /** Whether the axis counts in powers of two. */
  readonly binary?: boolean
  /** The axis begins at 0 and reaches this far at the least. Without it, it fits the values. */
  readonly reach?: number
  /** Values above this are not expected: the axis ends there, unless there are any. */
  readonly ceiling?: number
  /** The longest time without a value that a line goes over, in milliseconds. */
  readonly bridge: () => number
  /** Pixels for the labels of the values. */
  readonly axisWidth?: number
  /** Points are marked where they are far apart. */
  readonly marked?: boolean
  /** The crosshair is at a row of the data, or has gone. */
  readonly onCursor: (row: number | undefined) => void
  readonly onZoom: (view: View) => void
  readonly onReset: () => void
}

const binarySteps = Array.from({ length: 60 }, (_, power) => 2 ** power)

/** The distances between labels of times, in milliseconds. */
const timeSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat(
  [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].map((seconds) => seconds * 1000),
  [1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2880, 8760].map((hours) => hours * 3_600_000)
)

const font = "12px system-ui, sans-serif"

export class Chart {
  readonly #options: ChartOptions
  readonly #plot: uPlot
  #view: View = { from: 0, to: 1 }
  #isQuiet = true
  /** Takes it from the page. */
  readonly destroy: () => void

  constructor(options: ChartOptions) {
    this.#options = options
    const { height, width } = sizeOf(options.host)
    this.#plot = new uPlot(this.#configure(width, height), [[], ...options.lines.map(() => [])], options.host)
    this.#isQuiet = false
    const observer = new ResizeObserver(() => this.#resize())
    observer.observe(options.host)
    const ignoreTheme = onThemeChange(() => this.#plot.redraw())
    this.#followTouch()
    this.destroy = () => {
      observer.disconnect()
      ignoreTheme()
      this.#plot.destroy()
    }
  }

  get view(): View {
    return this.#view
  }

  get times(): ArrayLike<number> {
    return this.#plot.data[0]
  }

  /** Whether the values can be drawn: numbers that are this large have no distance that is a number. */
  get isDrawn(): boolean {
    return this.#plot.scales["y"]!.min !== null
  }

  /** The row at which the crosshair is. */
  get row(): number | undefined {
    return this.#plot.cursor.idx ?? undefined
  }

  /** Shows the columns, the first of which are times, within a part of time. */
  show(columns: ReadonlyArray<ReadonlyArray<number | null>>, view: View): void {
    this.#view = view
    this.#quietly(() => this.#plot.setData(columns as uPlot.AlignedData))
  }

  /** Moves the crosshair to a time, or away if that is not seen, and tells nobody. */
  point(time: number | undefined): void {
    const isSeen = time !== undefined && time >= this.#view.from && time <= this.#view.to
    const { clientHeight, clientWidth } = this.#plot.over
    const place = isSeen
      ? { left: Math.max(0, Math.min(clientWidth, this.#plot.valToPos(time, "x"))), top: clientHeight / 2 }
      : { left: -10, top: -10 }
    this.#plot.setCursor(place, false)
  }

  /** Moves the crosshair to a row, as if a hand had. */
  select(row: number): void {
    const { length } = this.times
    if (length === 0) return
    const time = this.times[Math.max(0, Math.min(length - 1, row))]!
    this.point(Math.max(this.#view.from, Math.min(this.#view.to, time)))
    this.#options.onCursor(this.row)
  }

  unselect(): void {
    this.point(undefined)
    this.#options.onCursor(undefined)
  }

  #configure(width: number, height: number): uPlot.Options {
    const { band, lines, onReset } = this.#options
    return {
      width,
      height,
      ms: 1,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 8, width: 2 },
        drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: {
          dblclick: () => () => {
            onReset()
            return null
          }
        }
      },
      scales: {
        x: { range: () => [this.#view.from, this.#view.to] },
        y: { range: (_, min, max) => this.#reach(min, max) }
      },
      axes: this.#axes(),
      series: [{}, ...lines.map((line) => this.#series(line))],
      ...(band !== undefined && { bands: [{ series: [band[0] + 1, band[1] + 1], fill: () => themed("band") }] }),
      hooks: {
        setCursor: [() => this.#isQuiet || this.#options.onCursor(this.row)],
        setSelect: [() => this.#zoomToSelection()]
      }
    }
  }

  #series({ color, filled, width }: DrawnLine): uPlot.Series {
    const { bridge, marked } = this.#options
    return {
      width,
      stroke: () => (width === 0 ? "transparent" : themed(color)),
      ...(filled === true && { fill: () => themed(`${color}-fill`) }),
      points:
        marked === true && width > 0
          ? { size: markWidth, filter: isMarked, fill: () => themed(color) }
          : { show: false },
      gaps: (plot, _, __, ___, gaps) => {
        const pixels = Math.abs(plot.valToPos(bridge(), "x", true) - plot.valToPos(0, "x", true))
        return gaps.filter(([from, to]) => to - from > pixels)
      }
    }
  }

  #axes(): Array<uPlot.Axis> {
    const { axisWidth, binary, format } = this.#options
    const common = {
      font,
      stroke: () => themed("dim"),
      grid: { stroke: () => themed("grid"), width: 1 },
      ticks: { show: false }
    }
    return [
      {
        ...common,
        size: 22,
        gap: 6,
        space: 58,
        incrs: timeSteps,
        grid: { show: false },
        values: (plot, splits, __, ___, distance) => splits.map((time) => tick(plot, time, distance))
      },
      {
        ...common,
        size: axisWidth ?? 56,
        gap: 6,
        space: 30,
        ...(binary === true && { incrs: binarySteps }),
        values: (_, splits) => splits.map(format)
      }
    ]
  }

  #reach(min: number | null, max: number | null): uPlot.Range.MinMax {
    const { ceiling = Infinity, reach } = this.#options
    if (reach !== undefined) return [0, Math.max(reach, (max ?? 0) * 1.12)]
    if (min === null || max === null) return [0, 1]
    const [low, high] = uPlot.rangeNum(min, max, 0.1, true) as [number, number]
    if (!Number.isFinite(high - low)) return [null, null]
    return [min >= 0 ? Math.max(0, low) : low, max <= ceiling ? Math.min(ceiling, high) : high]
  }

  #zoomToSelection(): void {
    const { left, width } = this.#plot.select
    if (width === 0) return
    const [from, to] = [this.#plot.posToVal(left, "x"), this.#plot.posToVal(left + width, "x")]
    this.#plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    this.#options.onZoom({ from, to })
  }

  /** Changes the chart, which moves what is under the crosshair: only that a hand moves it is to be told. */
  #quietly(change: () => void): void {
    this.#isQuiet = true
    this.#plot.batch(change)
    this.#isQuiet = false
  }

  #resize(): void {
    const { height, width } = sizeOf(this.#options.host)
    if (width === 0 || (width === this.#plot.width && height === this.#plot.height)) return
    this.#quietly(() => this.#plot.setSize({ width, height }))
  }

  /** A finger reads values as the mouse does. To scroll the page it moves up and down. */
  #followTouch(): void {
    const { over } = this.#plot
    const follow = (event: PointerEvent): void => {
      if (event.pointerType === "mouse") return
      const { left } = over.getBoundingClientRect()
      this.#plot.setCursor({ left: event.clientX - left, top: over.clientHeight / 2 })
    }
    over.addEventListener("pointerdown", follow)
    over.addEventListener("pointermove", follow)
  }
}

const sizeOf = ({ clientHeight: height, clientWidth: width }: HTMLElement) => ({ width, height })

/** The label of a time, unless it would be cut off at an edge. */
const tick = (plot: uPlot, time: number, distance: number): string => {
  const room = 26
  const left = plot.valToPos(time, "x")
  const { clientWidth, offsetLeft } = plot.over
  return left > room - offsetLeft && left < clientWidth - room ? formatTick(time, distance) : ""
}

const isMarked: uPlot.Series.Points.Filter = (plot, series, isShown) =>
  isShown ? null : unseen(plot.data[series]!, (row) => plot.valToPos(plot.data[0][row]!, "x"))
