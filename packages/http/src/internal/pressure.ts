import type { Connection } from "./connection.ts"
import type { Connections } from "./connections.ts"

/** The share of the limit above which connections that do nothing are closed to make room. */
const threshold = 0.9

/** Who moves so many bytes a second keeps pace, however scarce connections are: a modem of the nineties, or the edge of a mobile cell. */
const fastRate = 4096

/** How often it is looked who could be closed, when nobody was found the last time. */
const searchMillis = 100

/**
 * Makes room when connections become scarce: the idle ones go first, oldest first, then those that are slower than they may be for good,
 * slowest first, and last those that crawl just above the least rate. A faster one is never closed.
 *
 * While there is room enough it costs one comparison for each new connection: who goes first is only looked up when somebody must.
 */
export class Pressure {
  readonly #connections: Connections
  readonly #limit: number
  /** Who was found, the first to go last, and since when each waited. */
  #idle: Array<readonly [Connection, number]> = []
  #searchedAt = -Infinity

  constructor(connections: Connections, maxConnections: number) {
    this.#connections = connections
    this.#limit = Math.floor(maxConnections * threshold)
  }

  /** To be called when a connection was added, or dropped for want of room. */
  relieve(): void {
    let excess = this.#connections.all.size - this.#limit
    if (!(excess > 0)) return
    excess -= this.#closeIdle(excess)
    const now = this.#connections.now()
    if (excess <= 0 || now - this.#searchedAt < searchMillis) return
    this.#searchedAt = now
    this.#search()
    excess -= this.#closeIdle(excess)
    if (excess > 0) this.#closeSlow(excess, now)
  }

  #search(): void {
    this.#idle = []
    for (const connection of this.#connections.all.values()) {
      if (!connection.closing && connection.state === "idle") this.#idle.push([connection, connection.waitsSince])
    }
    this.#idle.sort(([, a], [, b]) => b - a)
  }

  #closeIdle(excess: number): number {
    let closed = 0
    while (closed < excess) {
      const next = this.#idle.pop()
      if (next === undefined) break
      const [connection, since] = next
      // It may have been used, or closed, since it was found.
      if (connection.closing || connection.waitsSince !== since || connection.state !== "idle") continue
      connection.closeQuietly()
      this.#connections.evicted("Idle")
      closed++
    }
    return closed
  }

  /** Those that are as fast as they must be, and no faster than nobody calls slow: the slowest first. */
  #crawling(): Array<readonly [Connection, number]> {
    const crawling: Array<readonly [Connection, number]> = []
    for (const connection of this.#connections.all.values()) {
      const rate = connection.awaitedRate
      const { closing, inFlight, upgraded } = connection
      if (rate === undefined || rate >= fastRate || closing || upgraded || inFlight === 0) continue
      if (connection.slowness(0) === 0) crawling.push([connection, rate])
    }
    return crawling.toSorted(([, a], [, b]) => a - b)
  }

  #closeSlow(excess: number, now: number): void {
    const slow: Array<readonly [Connection, number]> = []
    for (const connection of this.#connections.all.values()) {
      const slowness = connection.slowness(now)
      if (slowness > 0) slow.push([connection, slowness])
    }
    slow.sort(([, a], [, b]) => b - a)
    if (slow.length < excess) slow.push(...this.#crawling())
    for (const [connection] of slow.slice(0, excess)) {
      this.#connections.evicted("Slow")
      connection.reset()
    }
  }
}
