/**
 * The budget of `Admission` for doors in several threads, in memory that they share: permits and places to wait for all of them together.
 * `MultiLoop` gives it to its loops.
 *
 * Every thread has a seat, whose counts it alone writes. There is no total that could be wrong after a thread died: whoever clears its seat
 * has given everything back that it held.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Budget } from "./Admission.ts"
import { Alarm } from "./internal/alarm.ts"

/** The cells of a seat. */
const Cell = {
  /** Permits that are out. */
  Held: 0,
  /** Places to wait that are taken. */
  Queued: 1,
  /** Since when the first one waits here, as a stamp; 0 when nobody waits. */
  Since: 2,
  /** When a permit was offered to those who wait here, as a stamp; 0 once they have tried. */
  Offered: 3,
  /** Counts what wakes this loop. */
  Wake: 4
} as const

/** A seat has a cache line of its own, or the loops would take it from each other at every request. */
const seatLength = 16

/**
 * How long a permit is left to a loop that was woken for it, in milliseconds. Waking takes 0.03 ms; a loop that takes longer than this is
 * busy with something else, and must not hold up the others.
 */
const grace = 5

/** How often one tries again when another loop got in the way, before it waits to be woken. */
const maxAttempts = 8

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The memory that all threads share, made by `makeCells`. */
  readonly cells: Int32Array
  /** The seat of this thread, from 0, which no other one has. */
  readonly seat: number
  /** Permits, from 1, or `Infinity`. */
  readonly limit: number
  /** Places to wait, from 0, or `Infinity`. */
  readonly maxQueued: number
  /** The monotonic clock in milliseconds, the same in all loops. */
  readonly now: () => number
}

/**
 * Makes the memory for so many seats, to be given to every thread.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeCells = (seats: number): Int32Array =>
  new Int32Array(new SharedArrayBuffer(seats * seatLength * Int32Array.BYTES_PER_ELEMENT))

const stampsPerMilli = 16

/** A time as an int32 that is not 0. Two of them can be compared as long as they lie less than 37 hours apart. */
const toStamp = (millis: number): number => Math.floor(millis * stampsPerMilli) | 0 || 1
const isBefore = (a: number, b: number): boolean => ((a - b) | 0) < 0

const wake = (cells: Int32Array, seat: number): void => {
  Atomics.add(cells, seat * seatLength + Cell.Wake, 1)
  Atomics.notify(cells, seat * seatLength + Cell.Wake)
}

const sum = (cells: Int32Array, cell: number): number => {
  let total = 0
  for (let i = cell; i < cells.length; i += seatLength) total += Atomics.load(cells, i)
  return total
}

/**
 * Gives back all that a thread held which has gone, and wakes those who wait for it. The seat may be given to another thread then.
 *
 * @category combinators
 * @since 0.1.0
 */
export const clearSeat = (cells: Int32Array, seat: number): void => {
  for (const cell of [Cell.Since, Cell.Offered, Cell.Queued, Cell.Held]) {
    Atomics.store(cells, seat * seatLength + cell, 0)
  }
  for (let other = 0; other * seatLength < cells.length; other++) {
    if (Atomics.load(cells, other * seatLength + Cell.Since) !== 0) wake(cells, other)
  }
}

/**
 * Counts what is out and what waits, over all seats.
 *
 * @category combinators
 * @since 0.1.0
 */
export const usage = (cells: Int32Array): { readonly held: number; readonly queued: number } => ({
  held: sum(cells, Cell.Held),
  queued: sum(cells, Cell.Queued)
})

/**
 * The budget as one thread sees it. Made by `make`.
 *
 * **Details**
 *
 * A permit is taken by counting it in the own seat and then looking whether the sum is within the limit: of several who do so at once at
 * least the last one sees them all, so there are never more out than the limit. Those who counted too many count back and try again.
 *
 * No wake-up is lost: who waits says so before it looks for a permit once more, and who gives one back looks for those who wait after it
 * did. Who has waited longest is served first, whatever the thread, to 1/16 ms, when fewer permits are free than there are threads; but a
 * thread that was woken and does not come within 5 ms is passed over, so that one which stands still holds up nobody else.
 *
 * @category models
 * @since 0.1.0
 */
export class SharedBudget implements Budget {
  readonly #cells: Int32Array
  readonly #seat: number
  readonly #base: number
  readonly #limit: number
  readonly #maxQueued: number
  readonly #now: () => number
  readonly #retry: Alarm
  /** When to look whether a permit was taken that was left to others, in milliseconds of the clock. */
  retryAt = Infinity
  #onRetry = (): void => {}

  /** Use `make`. */
  constructor({ cells, limit, maxQueued, now, seat }: Options) {
    this.#cells = cells
    this.#seat = seat
    this.#base = seat * seatLength
    this.#limit = limit
    this.#maxQueued = maxQueued
    this.#now = now
    this.#retry = new Alarm(
      () => this.retryAt,
      () => this.retry()
    )
  }

  /** Entries that wait in all queues together. */
  get queued(): number {
    return sum(this.#cells, Cell.Queued)
  }

  /** Permits that no thread holds. */
  get free(): number {
    return this.#limit - sum(this.#cells, Cell.Held)
  }

  /** Takes a permit, if one is free and nobody in another thread has waited for it longer. */
  take(): boolean {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const { free } = this
      if (free <= 0 || (this.#isScarce(free) && this.#leavesItToOthers())) return false
      if (this.#count(Cell.Held, this.#limit)) return true
      // For a moment one permit less seemed to be free: somebody may have found none for that reason.
      this.#handOn()
    }
    return false
  }

  /** Gives a permit back, and wakes the thread whose first one has waited longest. */
  give(): void {
    Atomics.sub(this.#cells, this.#base + Cell.Held, 1)
    this.#handOn()
  }

  /** Takes a place to wait, if one is free. */
  enqueue(): boolean {
    for (let attempt = 0; attempt < maxAttempts && this.queued < this.#maxQueued; attempt++) {
      if (this.#count(Cell.Queued, this.#maxQueued)) return true
    }
    return false
  }

  /** Gives a place to wait back. */
  dequeue(): void {
    Atomics.sub(this.#cells, this.#base + Cell.Queued, 1)
  }

  /** See `Admission.Budget`. */
  publish(since: number | undefined): boolean {
    Atomics.store(this.#cells, this.#base + Cell.Since, since === undefined ? 0 : toStamp(since))
    if (since !== undefined) this.#retrySoon(this.#now())
    if (sum(this.#cells, Cell.Held) >= this.#limit) return false
    this.#handOn()
    return since !== undefined
  }

  /** Calls `retry` whenever there may be a permit. Runs for ever. */
  watch(retry: () => void): Effect.Effect<never> {
    this.#onRetry = retry
    const { run } = this.#retry
    return Effect.raceFirst(run, Effect.forever(Effect.andThen(this.#woken, Effect.sync(this.wakeUp))))
  }

  /**
   * What a loop does at `retryAt`. As long as somebody waits here it looks by itself every few milliseconds: whoever gave a permit back may
   * have woken a loop that stands still, and stand still itself since.
   */
  retry(): void {
    this.retryAt = Infinity
    if (Atomics.load(this.#cells, this.#base + Cell.Since) !== 0) {
      this.#retrySoon(this.#now())
      this.#onRetry()
    }
    // The one that was woken for a permit has not come: the next one gets it.
    if (sum(this.#cells, Cell.Held) < this.#limit) this.#handOn()
  }

  /** How often somebody has woken this loop. */
  get wakes(): number {
    return Atomics.load(this.#cells, this.#base + Cell.Wake)
  }

  /** What a loop does when it was woken. */
  readonly wakeUp = (): void => {
    Atomics.store(this.#cells, this.#base + Cell.Offered, 0)
    if (Atomics.load(this.#cells, this.#base + Cell.Since) !== 0) return this.#onRetry()
    // Who waited here has gone meanwhile.
    if (sum(this.#cells, Cell.Held) < this.#limit) this.#handOn()
  }

  #seen = 0
  readonly #woken: Effect.Effect<void> = Effect.callback((resume) => {
    const cell = this.#base + Cell.Wake
    const seen = this.#seen
    const done = (): void => {
      this.#seen = this.wakes
      resume(Effect.void)
    }
    const waiting = Atomics.waitAsync(this.#cells, cell, seen)
    // Its interruption leaves a promise that nobody waits for.
    if (waiting.async) void waiting.value.then(done)
    else done()
  })

  /** With a permit for each loop nobody takes one from anybody: who waits then, waits for the turn of its own event loop. */
  #isScarce(free: number): boolean {
    return free * seatLength <= this.#cells.length
  }

  /** Counts one more in the own seat, or nothing if that makes too many. */
  #count(cell: number, max: number): boolean {
    Atomics.add(this.#cells, this.#base + cell, 1)
    if (sum(this.#cells, cell) <= max) return true
    Atomics.sub(this.#cells, this.#base + cell, 1)
    return false
  }

  /**
   * Whether somebody in another loop has waited longer than all here. It is woken, and has a while to come; a loop that does not is
   * passed over.
   */
  #leavesItToOthers(): boolean {
    const own = Atomics.load(this.#cells, this.#base + Cell.Since)
    let leaves = false
    for (let other = 0, base = 0; base < this.#cells.length; other++, base += seatLength) {
      const since = Atomics.load(this.#cells, base + Cell.Since)
      if (since === 0 || other === this.#seat || (own !== 0 && !isBefore(since, own))) continue
      const now = this.#now()
      if (!this.#offer(other, now) && !this.#isFresh(base, now)) continue
      leaves = true
      this.#retrySoon(now)
    }
    return leaves
  }

  #retrySoon(now: number): void {
    if (this.retryAt !== Infinity) return
    this.retryAt = now + grace
    this.#retry.set()
  }

  #isFresh(base: number, now: number): boolean {
    const offered = Atomics.load(this.#cells, base + Cell.Offered)
    return offered !== 0 && isBefore(toStamp(now), (offered + grace * stampsPerMilli) | 0)
  }

  /** Wakes a loop for a permit, unless it was woken before and has not come yet. */
  #offer(other: number, now: number): boolean {
    const cell = other * seatLength + Cell.Offered
    if (Atomics.compareExchange(this.#cells, cell, 0, toStamp(now)) !== 0) return false
    wake(this.#cells, other)
    return true
  }

  /** A permit is free: wakes the one who has waited longest in another loop, if nobody here has waited for longer. */
  #handOn(): void {
    if (!this.#isScarce(this.free)) return
    const own = Atomics.load(this.#cells, this.#base + Cell.Since)
    let oldest = own
    let next = -1
    for (let other = 0, base = 0; base < this.#cells.length; other++, base += seatLength) {
      const since = Atomics.load(this.#cells, base + Cell.Since)
      if (other === this.#seat || since === 0 || Atomics.load(this.#cells, base + Cell.Offered) !== 0) continue
      if (oldest !== 0 && !isBefore(since, oldest)) continue
      oldest = since
      next = other
    }
    if (next === -1) return
    const now = this.#now()
    if (this.#offer(next, now)) this.#retrySoon(now)
  }
}

/**
 * Creates the budget of one thread.
 *
 * **Details**
 *
 * Throws a `RangeError` for a seat that the memory does not have. `limit` and `maxQueued` must be the same in all threads.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): SharedBudget => {
  const seats = options.cells.length / seatLength
  if (!(Number.isInteger(options.seat) && options.seat >= 0 && options.seat < seats)) {
    throw new RangeError(`SharedBudget.make: seat must be an integer from 0 to ${seats - 1}, got ${options.seat}`)
  }
  return new SharedBudget(options)
}
