/** Which series got events since the last look: taken from the groups that were committed, so that nothing is read from the database. */
import type { Columns } from "../storage/columns.ts"
import type { Change, News } from "./figures.ts"

interface Collected {
  count: number
  timestamp: number
  value: number
}

/** Names at most `max` series: of more it only says that there are. */
export class Changes {
  readonly #max: number
  readonly #collected = new Map<string, Collected>()
  #more = false

  constructor(max: number) {
    this.#max = max
  }

  /** Adds a group, and for each of its names how many events the series has since, or 0 if none in the group is of that name. */
  add({ names, series, timestamps, values }: Columns, counts: Float64Array): void {
    const collected = names.map((name, index) => this.#of(name, counts[index]!))
    for (let row = 0; row < values.length; row++) {
      const change = collected[series[row]!]
      if (change === undefined) continue
      if (timestamps[row]! < change.timestamp) continue
      change.timestamp = timestamps[row]!
      change.value = values[row]!
    }
  }

  /** What there is to tell, if anything. The next one begins from nothing. */
  take(): News | undefined {
    if (this.#collected.size === 0) return undefined
    const changes = Array.from(this.#collected, ([name, { count, timestamp, value }]): Change => [
      name,
      count,
      timestamp,
      value
    ])
    const news: News = { changes, more: this.#more }
    this.#collected.clear()
    this.#more = false
    return news
  }

  #of(name: string, count: number): Collected | undefined {
    if (count === 0) return undefined
    let change = this.#collected.get(name)
    if (change !== undefined) {
      change.count = count
      return change
    }
    if (this.#collected.size >= this.#max) {
      this.#more = true
      return undefined
    }
    change = { count, timestamp: -Infinity, value: 0 }
    this.#collected.set(name, change)
    return change
  }
}
