/**
 * What a server has done and is doing, in memory that all its threads share: `GET /stats` answers for the process, whichever thread is
 * asked.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads"
import { exported } from "./metrics.ts"

const fields = [
  /** Threads that handlers run on, or that handlers give their work to. */
  "workers",
  /** Threads of a pool that were started in place of others. All who share the pool say the same. */
  "respawns",
  /** Event loops that were started in place of others. */
  "restarts",
  /** Handlers at work. */
  "active",
  /** Connections or requests that wait for a turn. */
  "queued",
  "openConnections",
  /** Requests that were answered by their handlers. */
  "processed",
  /** Requests that their handlers answered 503. */
  "rejected",
  /** Requests that were refused before they had a handler. */
  "refused",
  /** Handlers that ended because their clients went away. */
  "interrupted",
  /** How late timers came, the 99th percentile, in microseconds. */
  "eventLoopDelayMicros"
] as const

/** One figure of a slot. */
export type Field = (typeof fields)[number]

/** The cells before the slots: the greatest number of handlers at work so far, and whether the process drains. */
const [maxActiveCell, drainingCell, firstSlot] = [0, 1, 2]

const key = "architectures/stats"

/** The figures of one thread, among those of all. */
export class SharedStats {
  /** Of 64 bits: with 32 a count would turn negative after 25 days of a thousand requests a second. */
  readonly #cells: BigInt64Array<SharedArrayBuffer>
  readonly #base: number

  constructor(buffer: SharedArrayBuffer, slot: number) {
    this.#cells = new BigInt64Array(buffer)
    this.#base = firstSlot + slot * fields.length
  }

  /** `difference` is a whole number, as is `value` below. */
  add(field: Field, difference: number): void {
    Atomics.add(this.#cells, this.#base + fields.indexOf(field), BigInt(difference))
  }

  set(field: Field, value: number): void {
    Atomics.store(this.#cells, this.#base + fields.indexOf(field), BigInt(value))
  }

  /** The sum over all threads. */
  total(field: Field): number {
    return this.#fold(field, (sum, value) => sum + value)
  }

  /** The greatest of all threads. */
  greatest(field: Field): number {
    return this.#fold(field, Math.max)
  }

  /** A handler starts. */
  began(): void {
    this.add("active", 1)
    const active = this.total("active")
    let known = this.maxActive
    while (active > known) {
      const before = Number(Atomics.compareExchange(this.#cells, maxActiveCell, BigInt(known), BigInt(active)))
      if (before === known) return
      known = before
    }
  }

  /** The greatest number of handlers that were at work at once. */
  get maxActive(): number {
    return Number(Atomics.load(this.#cells, maxActiveCell))
  }

  /** Requests and connections that were answered 503. */
  get rejected(): number {
    return this.total("rejected") + this.total("refused")
  }

  /** Threads that were started in place of others. */
  get respawns(): number {
    return this.greatest("respawns") + this.total("restarts")
  }

  get draining(): boolean {
    return Atomics.load(this.#cells, drainingCell) === 1n
  }

  drain(): void {
    Atomics.store(this.#cells, drainingCell, 1n)
  }

  /** Forgets what a thread was doing when it ended, but not what it had done. */
  forget(): void {
    for (const field of ["workers", "active", "queued", "openConnections", "eventLoopDelayMicros"] as const) {
      this.set(field, 0)
    }
  }

  #fold(field: Field, combine: (before: number, value: number) => number): number {
    let result = 0
    for (let cell = firstSlot + fields.indexOf(field); cell < this.#cells.length; cell += fields.length) {
      result = combine(result, Number(Atomics.load(this.#cells, cell)))
    }
    return result
  }
}

/** Makes memory for so many threads, which those that are started from now on find too. */
export const share = (slots: number): SharedStats => {
  const buffer = new SharedArrayBuffer((firstSlot + slots * fields.length) * BigInt64Array.BYTES_PER_ELEMENT)
  setEnvironmentData(key, buffer)
  return new SharedStats(buffer, 0)
}

/** The memory that the thread's parent has made; its own, where it has no such parent. */
export const join = (slot = 0): SharedStats => {
  const buffer = getEnvironmentData(key)
  return buffer instanceof SharedArrayBuffer ? new SharedStats(buffer, slot) : share(slot + 1)
}

/** Service that counts. */
export class Stats extends Context.Service<Stats, SharedStats>()("architectures/Stats") {
  /** In a thread whose `GET /metrics` tells its own metrics: these are among them. */
  static readonly layer = (stats: SharedStats) => Layer.effect(Stats, Effect.as(exported(stats), stats))

  /** In a loop of `multi-loop`, where `GET /metrics` puts those of all threads together: the main thread tells them. */
  static readonly layerLoop = (stats: SharedStats) => Layer.succeed(Stats, stats)
}
