/** The buckets of the chosen series that the page has, which the last ones it is sent are merged into. */
import { watchedAggregations } from "../../live/figures.ts"
import type { Tail } from "../../live/figures.ts"

export type Aggregation = (typeof watchedAggregations)[number]

type Value = number | null

/** What `GET /series/:name` answers. */
export interface Answer {
  readonly step: number
  readonly buckets: ReadonlyArray<Readonly<Record<Aggregation | "start", Value>>>
}

export class Buckets {
  readonly step: number
  readonly times: Array<number>
  readonly #columns: ReadonlyMap<Aggregation, Array<Value>>

  constructor({ buckets, step }: Answer) {
    this.step = step
    this.times = buckets.map(({ start }) => start!)
    this.#columns = new Map(watchedAggregations.map((name) => [name, buckets.map((bucket) => bucket[name])]))
  }

  column(name: Aggregation): ReadonlyArray<Value> {
    return this.#columns.get(name)!
  }

  /** The newest bucket that has events. */
  get latest(): number {
    return this.column("count").findLastIndex((count) => (count ?? 0) > 0)
  }

  /** Whether a tail of the same step is of later buckets. */
  endBefore({ columns, from, step }: Tail): boolean {
    const last = this.times.at(-1)
    return step === this.step && (last === undefined || from + (columns[0]!.length - 1) * step > last)
  }

  /** Takes the last buckets. Says whether they fit: after a time without news there is a hole before them. */
  merge({ columns, from, step }: Tail): boolean {
    const last = this.times.at(-1)
    if (step !== this.step || last === undefined || from > last + step) return false
    const length = columns[0]!.length
    for (let index = 0; index < length; index++) {
      const row = this.#rowOf(from + index * step)
      for (const [column, name] of watchedAggregations.entries()) {
        if (row >= 0) this.#columns.get(name)![row] = columns[column]![index]!
      }
    }
    return true
  }

  /** Forgets what was before a time. */
  forgetBefore(time: number): void {
    const first = this.times.findIndex((start) => start >= time)
    if (first <= 0) return
    this.times.splice(0, first)
    for (const column of this.#columns.values()) column.splice(0, first)
  }

  /** The row of the bucket that begins at a time, which is added if it is the next one, or -1. */
  #rowOf(start: number): number {
    if (start > this.times.at(-1)!) this.times.push(start)
    return this.times.lastIndexOf(start)
  }
}
