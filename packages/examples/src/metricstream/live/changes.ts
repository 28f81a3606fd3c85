/** Which series got events since the last look: taken from the groups that were committed, so that nothing is read from the database. */
import type { Columns } from "../storage/columns.ts"
import type { Change, News } from "./figures.ts"

interface Collected {
  added: number
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

  add({ names, series, timestamps, values }: Columns): void {
    const collected = names.map((name) => this.#of(name))
    for (let row = 0; row < values.length; row++) {
      const change = collected[series[row]!]
      if (change === undefined) continue
      change.added++
      if (timestamps[row]! < change.timestamp) continue
      change.timestamp = timestamps[row]!
      change.value = values[row]!
    }
  }

  /** What there is to tell, if anything. The next one begins from nothing. */
  take(): News | undefined {
    if (this.#collected.size === 0) return undefined
    const changes = Array.from(this.#collected, ([name, { added, timestamp, value }]): Change => [
      name,
      added,
      timestamp,
      value
    ])
    const news: News = { changes, more: this.#more }
    this.#collected.clear()
    this.#more = false
    return news
  }

  #of(name: string): Collected | undefined {
    let change = this.#collected.get(name)
    if (change !== undefined) return change
    if (this.#collected.size >= this.#max) {
      this.#more = true
      return undefined
    }
    change = { added: 0, timestamp: -Infinity, value: 0 }
    this.#collected.set(name, change)
    return change
  }
}
