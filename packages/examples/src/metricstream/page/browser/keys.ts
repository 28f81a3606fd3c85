/** A chart by keyboard. What the crosshair is at is said aloud, because the reader moved it. */
import type { Chart, View } from "./chart.ts"

/** What of a chart keys need. */
export type Steered = Pick<Chart, "view" | "times" | "row" | "select" | "unselect">

export interface KeyActions {
  readonly zoom: (view: View) => void
  /** Shows so many times the time that is seen, around a time. */
  readonly scale: (factor: number, around: number) => void
  readonly reset: () => void
  /** Says what is at the crosshair. */
  readonly say: () => void
}

/** The part of time that is this many times as long, or as short as it may be, around a time. */
export const scaled = ({ from, to }: View, around: number, factor: number, shortest: number): View => {
  const center = Math.max(from, Math.min(to, around))
  const by = Math.max(factor, Math.min(1, shortest / (to - from)))
  return { from: center - (center - from) * by, to: center + (to - center) * by }
}

const shifted = ({ from, to }: View, share: number): View => {
  const by = (to - from) * share
  return { from: from + by, to: to + by }
}

/** The first and the last row that are seen. */
const visibleRows = ({ times, view }: Steered): readonly [first: number, last: number] => {
  const rows = Array.from(times)
  const first = rows.findIndex((time) => time >= view.from)
  return [Math.max(0, first), rows.findLastIndex((time) => time <= view.to)]
}

/** Lets keys move the crosshair of a chart, and zoom. */
export const listenToKeys = (host: HTMLElement, chart: Steered, actions: KeyActions): void => {
  const move = (row: number): void => {
    chart.select(row)
    actions.say()
  }
  const step = (by: number): void => {
    const [first, last] = visibleRows(chart)
    const row = chart.row
    move(row === undefined ? last : Math.max(first, Math.min(last, row + by)))
  }
  const around = (): number => (chart.row === undefined ? chart.view.to : chart.times[chart.row]!)
  const keys: Readonly<Record<string, (event: KeyboardEvent) => void>> = {
    ArrowLeft: ({ shiftKey }) => step(shiftKey ? -10 : -1),
    ArrowRight: ({ shiftKey }) => step(shiftKey ? 10 : 1),
    Home: () => move(visibleRows(chart)[0]),
    End: () => move(visibleRows(chart)[1]),
    PageUp: () => actions.zoom(shifted(chart.view, -0.5)),
    PageDown: () => actions.zoom(shifted(chart.view, 0.5)),
    "+": () => actions.scale(0.5, around()),
    "=": () => actions.scale(0.5, around()),
    "-": () => actions.scale(2, around()),
    Escape: () => {
      chart.unselect()
      actions.reset()
    }
  }
  host.addEventListener("keydown", (event) => {
    const action = keys[event.key]
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    action(event)
  })
}
