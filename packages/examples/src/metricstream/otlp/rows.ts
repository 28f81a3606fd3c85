/** Events on their way from the worker that makes them: columns instead of objects, since those are copied in microseconds. */
import type { Event } from "../events.ts"

/** Row `i` is an event of point `points[i]` in series `names[series[i]]` at `timestamps[i]` with `values[i]` and tags `tagSets[tags[i]]`. */
export interface Columns {
  /** The distinct names. */
  readonly names: ReadonlyArray<string>
  /** The distinct sets of tags, as JSON. */
  readonly tagSets: ReadonlyArray<string>
  /** Numbers of points, in ascending order: what is stored together or not at all. */
  readonly points: Uint32Array<ArrayBuffer>
  readonly series: Uint32Array<ArrayBuffer>
  readonly timestamps: Float64Array<ArrayBuffer>
  readonly values: Float64Array<ArrayBuffer>
  readonly tags: Uint32Array<ArrayBuffer>
}

/** The strings that occur, each once. */
class Distinct {
  readonly #indexes = new Map<string, number>()

  indexOf(text: string): number {
    let index = this.#indexes.get(text)
    if (index === undefined) this.#indexes.set(text, (index = this.#indexes.size))
    return index
  }

  get all(): ReadonlyArray<string> {
    return [...this.#indexes.keys()]
  }
}

/** Collects events into columns. */
export class Rows {
  readonly #names = new Distinct()
  readonly #tagSets = new Distinct()
  readonly #points: Array<number> = []
  readonly #series: Array<number> = []
  readonly #timestamps: Array<number> = []
  readonly #values: Array<number> = []
  readonly #tags: Array<number> = []

  get size(): number {
    return this.#values.length
  }

  /** Adds an event. Its tags are a JSON object. */
  add(point: number, name: string, value: number, timestamp: number, tags: string): void {
    this.#points.push(point)
    this.#series.push(this.#names.indexOf(name))
    this.#timestamps.push(timestamp)
    this.#values.push(value)
    this.#tags.push(this.#tagSets.indexOf(tags))
  }

  build(): Columns {
    return {
      names: this.#names.all,
      tagSets: this.#tagSets.all,
      points: new Uint32Array(this.#points),
      series: new Uint32Array(this.#series),
      timestamps: new Float64Array(this.#timestamps),
      values: new Float64Array(this.#values),
      tags: new Uint32Array(this.#tags)
    }
  }
}

/** The events of columns. Those with the same tags share an object. */
export const toEvents = ({ names, series, tagSets, tags, timestamps, values }: Columns): Array<Event> => {
  const sets = tagSets.map((json): Event["tags"] => (json === "{}" ? undefined : JSON.parse(json)))
  return Array.from(values, (value, row) => {
    const [name, timestamp, set] = [names[series[row]!]!, timestamps[row]!, sets[tags[row]!]]
    return set === undefined ? { name, value, timestamp } : { name, value, timestamp, tags: set }
  })
}
