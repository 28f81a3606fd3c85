/**
 * What a server has done and is doing, in memory that all its threads share: `GET /stats` answers for the process, whichever thread is
 * asked.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads"

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
  readonly #cells: Int32Array<SharedArrayBuffer>
  readonly #base: number

  constructor(buffer: SharedArrayBuffer, slot: number) {
    this.#cells = new Int32Array(buffer)
    this.#base = firstSlot + slot * fields.length
  }

  add(field: Field, difference: number): void {
    Atomics.add(this.#cells, this.#base + fields.indexOf(field), difference)
  }

  set(field: Field, value: number): void {
    Atomics.store(this.#cells, this.#base + fields.indexOf(field), value)
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
      const before = Atomics.compareExchange(this.#cells, maxActiveCell, known, active)
      if (before === known) return
      known = before
    }
  }

  /** The greatest number of handlers that were at work at once. */
  get maxActive(): number {
    return Atomics.load(this.#cells, maxActiveCell)
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
    return Atomics.load(this.#cells, drainingCell) === 1
  }

  drain(): void {
    Atomics.store(this.#cells, drainingCell, 1)
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
      result = combine(result, Atomics.load(this.#cells, cell))
    }
    return result
  }
}

/** Makes memory for so many threads, which those that are started from now on find too. */
export const share = (slots: number): SharedStats => {
  const buffer = new SharedArrayBuffer((firstSlot + slots * fields.length) * Int32Array.BYTES_PER_ELEMENT)
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
  static readonly layer = (stats: SharedStats) => Layer.succeed(Stats, stats)
}
