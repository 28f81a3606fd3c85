/**
 * The door of the server: decides which requests start at once, which wait, and which are turned away, before any fiber exists for
 * them.
 *
 * The rules are those of `AdmissionQueue` of `@spillway/runtime`. This module drives it synchronously, from socket events, and adds
 * what a door needs: a queue that lets a turn of the event loop pass between batches, permits that are given up while a client is
 * still sending its body, and the `Retry-After` of a refusal.
 *
 * @since 0.1.0
 */
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"
import * as Effect from "effect/Effect"
import { Alarm } from "./internal/alarm.ts"

/**
 * Why a request was turned away at the door.
 *
 * **Details**
 *
 * - `QueueFull`: no permit was free and `maxQueued` requests were waiting.
 * - `WaitExceeded`: it waited for `maxWait`, or until its deadline, and no permit came free.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal = "QueueFull" | "WaitExceeded"

/**
 * Who stands at the door. It is told exactly once what became of it, unless it leaves first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Visitor {
  /** It holds a permit now, and gives it back by `Admission.leave`. */
  admitted(): void
  /** It was turned away and holds nothing. */
  refused(reason: Refusal): void
}

/**
 * The place of a visitor in the queue.
 *
 * @category models
 * @since 0.1.0
 */
export type Ticket = AdmissionQueue.Entry<Visitor>

/**
 * What several doors have in common, those of the event loops of one process for example: permits, and places to wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget extends AdmissionQueue.Budget {
  /** Takes one of the places to wait, if one is free. Says whether it did. */
  enqueue(): boolean
  /** Gives a place to wait back. */
  dequeue(): void
  /**
   * Tells the other doors since when the first of this one waits, in milliseconds of the monotonic clock (`undefined`: nobody waits):
   * who waits longest is served first, whatever the door. Says whether a permit is free now, for which those who wait are to try.
   */
  publish(since: number | undefined): boolean
  /** Calls `retry` whenever there may be a permit for those who wait. Runs for ever. */
  watch(retry: () => void): Effect.Effect<never>
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** How many requests may be inside at once. An integer from 1, or `Infinity` for no limit. */
  readonly maxConcurrent: number
  /** How many requests may wait. An integer from 0, or `Infinity` for no bound. `0` refuses whatever cannot start at once. */
  readonly maxQueued: number
  /** The longest wait in milliseconds, from 0. `Infinity` waits without limit. */
  readonly maxWait: number
  /** The monotonic clock in milliseconds. */
  readonly now: () => number
  /**
   * A random number from 0 to 1, for the jitter of `retryAfterSeconds`.
   *
   * @default Math.random
   */
  readonly random?: (() => number) | undefined
  /**
   * Runs a function in a later turn of the event loop.
   *
   * @default setImmediate
   */
  readonly defer?: ((run: () => void) => void) | undefined
  /**
   * What this door shares with others: `maxConcurrent` and `maxQueued` then hold for all of them together.
   *
   * @default undefined
   */
  readonly budget?: Budget | undefined
}

/**
 * What the door holds at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Requests inside. */
  readonly running: number
  /** Requests that wait to start. */
  readonly queued: number
  /** Requests that started, gave their permit up while their body arrived, and wait to go on. */
  readonly resuming: number
  /** The number of permits. */
  readonly limit: number
}

/** Those who were inside already come before those who were not. */
const resumingClass = 0
const newClass = 1

/** By how much those who resume come before those of other doors, in milliseconds: more than anybody waits at a door. */
const resumingLead = 3_600_000

/** The longest `Retry-After`: after a minute an estimate from the last few requests means nothing. */
const maxRetryAfterSeconds = 60

/**
 * The door. Made by `make`.
 *
 * **Details**
 *
 * All operations are O(1). A permit that comes back is handed on in the next turn of the event loop, not on the stack of whoever
 * gave it back: between two batches of requests the loop reads what has arrived, so that the queue is seen as long as it is.
 *
 * @category models
 * @since 0.1.0
 */
export class Admission {
  readonly #queue: AdmissionQueue.AdmissionQueue<Visitor>
  readonly #alarm: Alarm
  readonly #maxQueued: number
  readonly #now: () => number
  readonly #random: () => number
  readonly #defer: (run: () => void) => void
  readonly #budget: Budget | undefined
  #resuming = 0
  #pumping = false
  #published: number | undefined = undefined

  /** Use `make`. */
  constructor(options: Options) {
    this.#maxQueued = options.maxQueued
    this.#now = options.now
    this.#random = options.random ?? Math.random
    this.#defer = options.defer ?? setImmediate
    this.#budget = options.budget
    // The bound on new requests is kept here: those that resume must neither count against it nor be refused by it.
    this.#queue = AdmissionQueue.make({
      limit: options.maxConcurrent,
      maxQueued: Infinity,
      maxWait: options.maxWait,
      priorities: 2,
      budget: options.budget
    })
    this.#alarm = new Alarm(
      () => this.#queue.nextExpiry(),
      (now) => this.#settle(now, 0)
    )
  }

  /** Turns away those who have waited too long. Forked once, by the owner of the door, whose scope ends it. */
  get expire(): Effect.Effect<never> {
    const { run } = this.#alarm
    if (this.#budget === undefined) return run
    return Effect.raceFirst(
      run,
      this.#budget.watch(() => this.#pump())
    )
  }

  /** What the door holds now. */
  get stats(): Stats {
    const { limit, queued, running } = this.#queue
    return { running, queued: queued - this.#resuming, resuming: this.#resuming, limit }
  }

  /** Asks for a permit. Returns a ticket if the visitor has to wait, and `undefined` if it has been told already. */
  enter(visitor: Visitor): Ticket | undefined {
    if (this.#queue.tryAcquire()) {
      visitor.admitted()
      return undefined
    }
    const hasPlace =
      this.#budget === undefined ? this.#queue.queued - this.#resuming < this.#maxQueued : this.#budget.enqueue()
    if (!hasPlace) {
      visitor.refused("QueueFull")
      return undefined
    }
    return this.#offer(visitor, this.#now(), newClass)
  }

  /** Asks for a permit again after `pause`. Such a visitor is never refused, and comes before all that have not started yet. */
  resume(visitor: Visitor): Ticket | undefined {
    if (this.#queue.tryAcquire()) {
      visitor.admitted()
      return undefined
    }
    this.#resuming++
    // Offered in an infinite future: it never has waited too long. Its own deadline ends its wait.
    return this.#offer(visitor, Infinity, resumingClass)
  }

  /** Takes a visitor out of the queue. One that has been admitted meanwhile must `leave` instead. */
  cancel(ticket: Ticket): void {
    if (!this.#queue.cancel(ticket)) return
    this.#left(ticket)
    this.#publish()
  }

  /** Gives a permit back, after it was held for so many milliseconds. */
  leave(held: number): void {
    this.#queue.release(held)
    this.#pump()
  }

  /** Gives a permit back for a while. The time says nothing about how long requests take. */
  pause(): void {
    this.#queue.release()
    this.#pump()
  }

  /**
   * The `Retry-After` of a refusal now, in whole seconds from 1 to 60: the estimate of the queue, lengthened by up to a half at
   * random so that those who were refused together do not come back together.
   */
  retryAfterSeconds(): number {
    const seconds = (this.#queue.retryAfter() / 1000) * (1 + this.#random() / 2)
    return Math.min(maxRetryAfterSeconds, Math.max(1, Math.ceil(seconds)))
  }

  #offer(visitor: Visitor, now: number, priority: number): Ticket | undefined {
    const ticket = this.#queue.offer(visitor, now, priority)
    if (ticket.state === "Waiting") {
      this.#alarm.set()
      this.#publish()
      return ticket
    }
    // Another door has given a permit back this very moment.
    this.#left(ticket)
    visitor.admitted()
    return undefined
  }

  /** An entry has left the queue. */
  #left(entry: Ticket): void {
    if (entry.priority === resumingClass) this.#resuming--
    else this.#budget?.dequeue()
  }

  /** Tells the other doors who is next here, if that is another one than before. */
  #publish(): void {
    if (this.#budget === undefined) return
    const oldest = this.#queue.waitingSince
    const since = oldest === undefined || this.#resuming === 0 ? oldest : this.#resumingSince()
    if (since === this.#published) return
    this.#published = since
    if (this.#budget.publish(since)) this.#pump()
  }

  /** Those who resume have no time of their own: they come before all others, and before each other by when they began to wait. */
  #resumingSince(): number {
    const earliest = this.#now() - resumingLead
    return this.#published === undefined ? earliest : Math.min(this.#published, earliest)
  }

  #pump(): void {
    if (this.#pumping || this.#queue.queued === 0) return
    this.#pumping = true
    this.#defer(this.#pumpNow)
  }

  readonly #pumpNow = (): void => {
    this.#pumping = false
    this.#settle(this.#now(), this.#queue.limit - this.#queue.running)
    // Somebody who was admitted may have left on our own stack, before others could be. A shared budget tells when to try again.
    if (this.#budget === undefined && this.#queue.running < this.#queue.limit) this.#pump()
  }

  /** Tells those whose fate is decided, admitting at most `budget`: a batch does not grow by those who leave during it. */
  #settle(now: number, budget: number): void {
    for (let entry = this.#queue.poll(now); entry !== undefined; entry = this.#queue.poll(now)) {
      this.#left(entry)
      if (entry.state !== "Admitted") {
        entry.value.refused("WaitExceeded")
        continue
      }
      entry.value.admitted()
      if (--budget <= 0) {
        this.#pump()
        break
      }
    }
    this.#publish()
  }
}

/**
 * Creates a door.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Admission => {
  const { maxConcurrent, maxQueued } = options
  if (maxConcurrent !== Infinity && !(Number.isInteger(maxConcurrent) && maxConcurrent >= 1)) {
    throw new RangeError(`Admission.make: maxConcurrent must be an integer >= 1 or Infinity, got ${maxConcurrent}`)
  }
  if (maxQueued !== Infinity && !(Number.isInteger(maxQueued) && maxQueued >= 0)) {
    throw new RangeError(`Admission.make: maxQueued must be an integer >= 0 or Infinity, got ${maxQueued}`)
  }
  return new Admission(options)
}
