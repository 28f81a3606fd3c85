/** The points of the server that the page has: one column for the times and one for each figure, in the order of time. */
import { figures } from "../../live/figures.ts"
import type { Figure, Point } from "../../live/figures.ts"

type Column = Array<number | null>

export class History {
  readonly #times: Array<number> = []
  readonly #columns = new Map<Figure, Column>(figures.map((figure) => [figure, []]))
  readonly #interval: number
  readonly #keep: number

  /** Points come each `interval` milliseconds, and are kept for `keep` milliseconds. */
  constructor(interval: number, keep: number) {
    this.#interval = interval
    this.#keep = keep
  }

  get times(): ReadonlyArray<number> {
    return this.#times
  }

  column(figure: Figure): ReadonlyArray<number | null> {
    return this.#columns.get(figure)!
  }

  /** The time of the newest point. */
  get latest(): number | undefined {
    return this.#times.at(-1)
  }

  add(points: ReadonlyArray<Point>): void {
    for (const [time, ...values] of points) this.#push(time!, values)
    const first = this.#times.findIndex((time) => time > (this.latest ?? 0) - this.#keep)
    if (first <= 0) return
    this.#times.splice(0, first)
    for (const column of this.#columns.values()) column.splice(0, first)
  }

  #push(time: number, values: ReadonlyArray<number | null>): void {
    // The server's clock was set back, or it sent again what is here: what it says now is right.
    while (this.latest !== undefined && this.latest >= time) this.#pop()
    // A line must not be drawn over a time in which nothing was measured.
    if (this.latest !== undefined && time - this.latest > 2.5 * this.#interval) this.#append(this.latest + 1, [])
    this.#append(time, values)
  }

  #append(time: number, values: ReadonlyArray<number | null>): void {
    this.#times.push(time)
    for (const [index, figure] of figures.entries()) this.#columns.get(figure)!.push(values[index] ?? null)
  }

  #pop(): void {
    this.#times.pop()
    for (const column of this.#columns.values()) column.pop()
  }
}
