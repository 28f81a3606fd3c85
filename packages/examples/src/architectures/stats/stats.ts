/**
 * What a server has done and is doing, in memory that all its threads share: `GET /stats` answers for the process, whichever thread is
 * asked.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { getEnvironmentData, setEnvironmentData, threadId } from "node:worker_threads"
import { exported } from "./metrics.ts"

const fields = [
  /** The thread that has claimed the slot; 0 is none. */
  "owner",
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

  /** Whether the slot is now that of a thread, which no other had claimed. */
  take(owner: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#base + fields.indexOf("owner"), 0n, BigInt(owner)) === 0n
  }

  /** Forgets what a thread is doing that has ended, but not what it had done, and gives its slot to the next. */
  vacate(owner: number): void {
    if (Number(Atomics.load(this.#cells, this.#base + fields.indexOf("owner"))) !== owner) return
    for (const field of ["workers", "active", "queued", "openConnections", "eventLoopDelayMicros", "owner"] as const) {
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

const bytesOf = (slots: number): number => (firstSlot + slots * fields.length) * BigInt64Array.BYTES_PER_ELEMENT

/** Makes memory for so many threads, which those that are started from now on find too. */
export const share = (slots: number): SharedStats => {
  const buffer = new SharedArrayBuffer(bytesOf(slots))
  setEnvironmentData(key, buffer)
  return new SharedStats(buffer, 0)
}

/** The memory that the thread's parent has made; its own, where it has no such parent. */
export const join = (slot = 0): SharedStats => {
  const buffer = getEnvironmentData(key)
  return buffer instanceof SharedArrayBuffer ? new SharedStats(buffer, slot) : share(slot + 1)
}

/** Every slot of the memory that there is. */
const slots = (): ReadonlyArray<SharedStats> => {
  const buffer = getEnvironmentData(key)
  if (!(buffer instanceof SharedArrayBuffer)) return [share(1)]
  const count = (buffer.byteLength - bytesOf(0)) / (bytesOf(1) - bytesOf(0))
  return Array.from({ length: count }, (_, slot) => new SharedStats(buffer, slot))
}

/** A slot for a thread of those that come and go. It has it alone until it is vacated, which is up to whoever sees it end. */
export const claim = (owner = threadId): SharedStats => {
  const free = slots().find((slot) => slot.take(owner))
  if (free === undefined) throw new Error("there are more threads than were reckoned with")
  return free
}

/** Gives the slot of a thread that has ended to the next one. */
export const vacate = (owner: number): void => {
  for (const slot of slots()) slot.vacate(owner)
}

/** Service that counts. */
export class Stats extends Context.Service<Stats, SharedStats>()("architectures/Stats") {
  /** In a thread whose `GET /metrics` tells its own metrics: these are among them. */
  static readonly layer = (stats: SharedStats) => Layer.effect(Stats, Effect.as(exported(stats), stats))

  /** In a loop of `multi-loop`, where `GET /metrics` puts those of all threads together: the main thread tells them. */
  static readonly layerLoop = (stats: SharedStats) => Layer.succeed(Stats, stats)
}
