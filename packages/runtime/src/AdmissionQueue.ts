/**
 * The one admission core of Spillway: permits, a bounded wait queue, an order, a longest wait and priorities.
 *
 * It is plain synchronous code: times go in as numbers, decisions come out, nothing is scheduled and no clock is read. So it
 * can be simulated and property-tested without fibers, and the door of the HTTP server, `Bulkhead` and `Offload` are three
 * uses of the same rules. Most programs want `Bulkhead`, which wraps this in effects.
 *
 * All operations are O(1), except that `poll` and `nextExpiry` look at one entry of every priority class.
 *
 * @since 0.1.0
 */
import { WaitList } from "./internal/waitList.ts"
import type { Linked } from "./internal/waitList.ts"

/**
 * Which of the waiting entries is served next: the one that waited longest (`fifo`) or the newest (`lifo`).
 *
 * **Details**
 *
 * `fifo` is fair. `lifo` keeps the wait of those that are served short while there is more work than capacity, at the price of
 * the oldest, whose callers have most likely given up ("Fail at Scale", ACM Queue 2015).
 *
 * @category models
 * @since 0.1.0
 */
export type Order = "fifo" | "lifo"

/**
 * Why an entry was turned away.
 *
 * **Details**
 *
 * - `QueueFull`: no permit was free and the queue held `maxQueued` entries.
 * - `WaitExceeded`: it waited for `maxWait` and no permit came free.
 * - `Displaced`: the queue was full and an entry of a more urgent class took its place.
 * - `Evicted`: its owner gave up on serving it.
 * - `Closed`: the queue was closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Refusal = "QueueFull" | "WaitExceeded" | "Displaced" | "Evicted" | "Closed"

/**
 * The state of an entry: it waits, or it was decided upon once and for all.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "Waiting" | "Admitted" | "Cancelled" | Refusal

/**
 * One request for a permit, made by `offer`. It belongs to the queue that made it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<out A> {
  /** What the caller attached: its fiber, its socket, its task. */
  readonly value: A
  /** The priority class, `0` being the most urgent. */
  readonly priority: number
  /** The time given to `offer`, in milliseconds of the caller's clock. */
  readonly offeredAt: number
  /** Where the entry stands. It leaves `Waiting` once. */
  readonly state: State
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The number of permits: how many entries may be inside at once. An integer from 0, or `Infinity` for no limit. `0` admits
   * nothing until `resize`.
   */
  readonly limit: number
  /** How many entries may wait. An integer from 0, or `Infinity` for no bound. `0` refuses whatever cannot start at once. */
  readonly maxQueued: number
  /**
   * The longest wait in milliseconds, from 0. `Infinity` waits without limit.
   *
   * @default Infinity
   */
  readonly maxWait?: number | undefined
  /**
   * Which waiting entry of a class is served next.
   *
   * @default "fifo"
   */
  readonly order?: Order | undefined
  /**
   * The number of priority classes, an integer from 1. A permit goes to the most urgent class that has an entry.
   *
   * @default 1
   */
  readonly priorities?: number | undefined
}

class WaitEntry<A> implements Entry<A>, Linked {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  state: State = "Waiting"
  readonly value: A
  readonly priority: number
  readonly offeredAt: number
  constructor(value: A, priority: number, offeredAt: number) {
    this.value = value
    this.priority = priority
    this.offeredAt = offeredAt
  }
}

/** The share of a new sample in the mean time that permits are held: about the last 16 count. */
const holdWeight = 1 / 16

/** The estimate of `retryAfter` before the first permit came back, in milliseconds. */
const defaultRetryAfter = 1000

/**
 * A set of permits and the bounded queue of those who wait for one. Made by `make`.
 *
 * **Details**
 *
 * The owner drives it: after `offer` it looks at the entry's state; after `release`, `resize`, `close`, and when `nextExpiry`
 * has come, it calls `poll` until that returns `undefined` and tells each entry's caller what became of it.
 *
 * @category models
 * @since 0.1.0
 */
export class AdmissionQueue<A> {
  readonly #classes: ReadonlyArray<WaitList<WaitEntry<A>>>
  readonly #displaced = new WaitList<WaitEntry<A>>()
  #order: Order
  #limit: number
  #maxQueued: number
  #maxWait: number
  #running = 0
  #queued = 0
  #closed = false
  #refusing = false
  #meanHold: number | undefined = undefined

  /** Use `make`, which checks the options. */
  constructor(options: Required<{ [K in keyof Options]: NonNullable<Options[K]> }>) {
    this.#classes = Array.from({ length: options.priorities }, () => new WaitList<WaitEntry<A>>())
    this.#order = options.order
    this.#limit = options.limit
    this.#maxQueued = options.maxQueued
    this.#maxWait = options.maxWait
  }

  /** Permits that are out now. It is above `limit` only after `resize` made the limit smaller. */
  get running(): number {
    return this.#running
  }

  /** Entries that wait now. */
  get queued(): number {
    return this.#queued
  }

  /** The present number of permits. */
  get limit(): number {
    return this.#limit
  }

  /** The longest the queue may become. */
  get maxQueued(): number {
    return this.#maxQueued
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed
  }

  /** Takes a permit if one is free and nobody waits for it. Says whether it did; makes no entry. */
  tryAcquire(): boolean {
    if (this.#closed || this.#queued > 0 || this.#running >= this.#limit) return false
    this.#running++
    return true
  }

  /**
   * Asks for a permit. The entry's state is `Admitted`, `Waiting`, `QueueFull` or `Closed`.
   *
   * A full queue makes place for an entry of a more urgent class by displacing the newest of the least urgent class; `poll`
   * returns the displaced one.
   */
  offer(value: A, now: number, priority: number = 0): Entry<A> {
    const entry = new WaitEntry(value, Math.min(Math.max(priority, 0), this.#classes.length - 1), now)
    if (this.#closed) {
      entry.state = "Closed"
    } else if (this.tryAcquire()) {
      entry.state = "Admitted"
    } else if (this.#queued < this.#maxQueued || this.#displaceFor(entry)) {
      this.#classes[entry.priority]!.append(entry)
      this.#queued++
    } else {
      entry.state = "QueueFull"
    }
    return entry
  }

  /**
   * Decides the fate of one waiting entry, if there is anything to decide: returns one that was displaced, one whose wait is
   * over, or one that now has a permit. Returns `undefined` when nothing more is to be done at this time.
   */
  poll(now: number): Entry<A> | undefined {
    const displaced = this.#displaced.oldest
    if (displaced !== undefined) {
      this.#displaced.remove(displaced)
      return displaced
    }
    if (this.#queued === 0) return undefined
    const expired = this.#longestWaiting()
    if (expired !== undefined && now - expired.offeredAt >= this.#maxWait) return this.#decide(expired, "WaitExceeded")
    if (this.#refusing) return this.#decide(this.#mostUrgent()!, "Closed")
    if (this.#running >= this.#limit) return undefined
    this.#running++
    return this.#decide(this.#mostUrgent()!, "Admitted")
  }

  /**
   * Gives a permit back. `held` is the time in milliseconds for which it was out, from which `retryAfter` is estimated; leave it
   * away for a permit that was taken but not used.
   */
  release(held?: number): void {
    if (this.#running === 0) throw new RangeError("AdmissionQueue.release: no permit is out")
    this.#running--
    if (held === undefined) return
    this.#meanHold = this.#meanHold === undefined ? held : this.#meanHold + (held - this.#meanHold) * holdWeight
  }

  /**
   * Takes a waiting entry out of the queue, in O(1). Says whether it was waiting: an entry that was admitted must be given back
   * with `release` instead, and one that was refused needs nothing.
   */
  cancel(entry: Entry<A>): boolean {
    if (entry.state !== "Waiting") return false
    this.#decide(entry as WaitEntry<A>, "Cancelled")
    return true
  }

  /** Takes the entry that has waited longest out of the queue, as `Evicted`, or returns `undefined` when none waits. */
  evict(): Entry<A> | undefined {
    const entry = this.#longestWaiting()
    return entry === undefined ? undefined : this.#decide(entry, "Evicted")
  }

  /** Changes the number of permits. Permits that are out stay out; a smaller limit is reached as they come back. */
  resize(limit: number): void {
    this.#limit = checkLimit("resize", limit)
  }

  /**
   * Refuses all further offers. Entries that wait already keep their turn, unless `waiting` is `"refuse"`: then `poll` returns
   * them all as `Closed`. May be called again with `"refuse"`.
   */
  close(waiting: "keep" | "refuse" = "keep"): void {
    this.#closed = true
    if (waiting === "refuse") this.#refusing = true
  }

  /** The time at which the next entry will have waited for `maxWait`, or `Infinity`. */
  nextExpiry(): number {
    return (this.#longestWaiting()?.offeredAt ?? Infinity) + this.#maxWait
  }

  /**
   * Estimates in how many milliseconds a permit would be free for one more entry: those ahead of it, times the mean time that a
   * permit is held, over the number of permits. 1000 before anything is known.
   */
  retryAfter(): number {
    if (this.#meanHold === undefined || this.#limit === 0) return defaultRetryAfter
    return ((this.#queued + 1) * this.#meanHold) / this.#limit
  }

  #decide(entry: WaitEntry<A>, state: Exclude<State, "Waiting">): Entry<A> {
    this.#classes[entry.priority]!.remove(entry)
    this.#queued--
    entry.state = state
    return entry
  }

  #displaceFor(entry: WaitEntry<A>): boolean {
    for (let priority = this.#classes.length - 1; priority > entry.priority; priority--) {
      const victim = this.#classes[priority]!.newest
      if (victim === undefined) continue
      this.#decide(victim, "Displaced")
      this.#displaced.append(victim)
      return true
    }
    return false
  }

  #longestWaiting(): WaitEntry<A> | undefined {
    let longest: WaitEntry<A> | undefined
    for (const list of this.#classes) {
      const oldest = list.oldest
      if (oldest !== undefined && (longest === undefined || oldest.offeredAt < longest.offeredAt)) longest = oldest
    }
    return longest
  }

  #mostUrgent(): WaitEntry<A> | undefined {
    for (const list of this.#classes) {
      const entry = this.#order === "fifo" ? list.oldest : list.newest
      if (entry !== undefined) return entry
    }
    return undefined
  }
}

const checkLimit = (where: string, limit: number): number => {
  if (limit === Infinity || (Number.isInteger(limit) && limit >= 0)) return limit
  throw new RangeError(`AdmissionQueue.${where}: limit must be an integer >= 0 or Infinity, got ${limit}`)
}

/**
 * Creates an admission queue.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(options: Options): AdmissionQueue<A> => {
  const { limit, maxQueued, maxWait = Infinity, order = "fifo", priorities = 1 } = options
  checkLimit("make", limit)
  if (maxQueued !== Infinity && !(Number.isInteger(maxQueued) && maxQueued >= 0)) {
    throw new RangeError(`AdmissionQueue.make: maxQueued must be an integer >= 0 or Infinity, got ${maxQueued}`)
  }
  if (!(maxWait >= 0)) throw new RangeError(`AdmissionQueue.make: maxWait must be >= 0 milliseconds, got ${maxWait}`)
  if (!(Number.isInteger(priorities) && priorities >= 1)) {
    throw new RangeError(`AdmissionQueue.make: priorities must be an integer >= 1, got ${priorities}`)
  }
  return new AdmissionQueue<A>({ limit, maxQueued, maxWait, order, priorities })
}
