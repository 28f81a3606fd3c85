/**
 * Events on their way to the storage worker: columns instead of objects.
 *
 * A group of thousands of events crosses to the worker as four typed arrays and the strings that occur in it, each once. That is
 * copied in microseconds, where as many objects would take the event loop milliseconds.
 */
import * as Schema from "effect/Schema"
import type { Event } from "../events.ts"

/** Row `i` is the event of series `names[series[i]]` at `timestamps[i]` with `values[i]` and tags `tagSets[tags[i]]`. */
export const Columns = Schema.Struct({
  /** The distinct names. */
  names: Schema.Array(Schema.String),
  /** The distinct sets of tags, as JSON. */
  tagSets: Schema.Array(Schema.String),
  series: Schema.instanceOf(Uint32Array),
  timestamps: Schema.instanceOf(Float64Array),
  values: Schema.instanceOf(Float64Array),
  /** -1 is no tags. */
  tags: Schema.instanceOf(Int32Array)
})
export type Columns = typeof Columns.Type

/** Collects events into columns. */
export class ColumnsBuilder {
  readonly #names = new Map<string, number>()
  readonly #tagSets = new Map<string, number>()
  readonly #series: Array<number> = []
  readonly #timestamps: Array<number> = []
  readonly #values: Array<number> = []
  readonly #tags: Array<number> = []

  get size(): number {
    return this.#values.length
  }

  /** Adds an event; `now` is its timestamp if it has none. */
  add(event: Event, now: number): void {
    this.#series.push(indexOf(this.#names, event.name))
    this.#timestamps.push(event.timestamp ?? now)
    this.#values.push(event.value)
    this.#tags.push(event.tags === undefined ? -1 : indexOf(this.#tagSets, JSON.stringify(event.tags)))
  }

  build(): Columns {
    return {
      names: [...this.#names.keys()],
      tagSets: [...this.#tagSets.keys()],
      series: Uint32Array.from(this.#series),
      timestamps: Float64Array.from(this.#timestamps),
      values: Float64Array.from(this.#values),
      tags: Int32Array.from(this.#tags)
    }
  }
}

/** The place of a string among the distinct ones, which are in the order of their first use. */
const indexOf = (distinct: Map<string, number>, text: string): number => {
  let index = distinct.get(text)
  if (index === undefined) distinct.set(text, (index = distinct.size))
  return index
}
