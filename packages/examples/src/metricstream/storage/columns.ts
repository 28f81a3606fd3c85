/**
 * Events on their way to the storage worker: columns instead of objects.
 *
 * A group of thousands of events crosses to the worker as five typed arrays and the strings that occur in it, each once. That is
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
  /** The first row of each request, in ascending order: what is stored together or not at all. */
  requests: Schema.instanceOf(Uint32Array),
  series: Schema.instanceOf(Uint32Array),
  timestamps: Schema.instanceOf(Float64Array),
  values: Schema.instanceOf(Float64Array),
  /** -1 is no tags. */
  tags: Schema.instanceOf(Int32Array)
})
export type Columns = typeof Columns.Type

/** Collects the events of requests into columns. */
export class ColumnsBuilder {
  readonly #names = new Map<string, number>()
  readonly #tagSets = new Map<string, number>()
  readonly #requests: Array<number> = []
  readonly #series: Array<number> = []
  readonly #timestamps: Array<number> = []
  readonly #values: Array<number> = []
  readonly #tags: Array<number> = []

  get size(): number {
    return this.#values.length
  }

  /** Adds the events of a request and returns the row of the first; `now` is the timestamp of those that have none. */
  add(events: ReadonlyArray<Event>, now: number): number {
    const first = this.size
    this.#requests.push(first)
    for (const { name, tags, timestamp, value } of events) {
      this.#series.push(indexOf(this.#names, name))
      this.#timestamps.push(timestamp ?? now)
      this.#values.push(value)
      this.#tags.push(tags === undefined ? -1 : indexOf(this.#tagSets, JSON.stringify(tags)))
    }
    return first
  }

  build(): Columns {
    return {
      names: [...this.#names.keys()],
      tagSets: [...this.#tagSets.keys()],
      requests: new Uint32Array(this.#requests),
      series: new Uint32Array(this.#series),
      timestamps: new Float64Array(this.#timestamps),
      values: new Float64Array(this.#values),
      tags: new Int32Array(this.#tags)
    }
  }
}

/** The place of a string among the distinct ones, which are in the order of their first use. */
const indexOf = (distinct: Map<string, number>, text: string): number => {
  let index = distinct.get(text)
  if (index === undefined) distinct.set(text, (index = distinct.size))
  return index
}
