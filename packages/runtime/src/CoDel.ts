/**
 * The queue-delay rule: tells a burst, which a queue is there to take, from a queue that never gets empty, which only makes
 * everybody late.
 *
 * It is pure: delays and times go in as numbers in milliseconds, decisions come out. Most programs give its options to
 * `AdmissionQueue`, `Bulkhead` or the server instead of driving it themselves.
 *
 * @since 0.1.0
 */

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The delay in milliseconds that a queue may always have, a finite number above 0. A queue whose shortest delay of an interval was
   * longer is overloaded, and then what waited for more than twice this is shed. For work that takes longer than a few
   * milliseconds start with the mean time that a permit is held, and an interval of 20 times that: a smaller target sheds also
   * the short queues that arrivals at random make under a load that can be carried.
   *
   * @default 5
   */
  readonly target?: number | undefined
  /**
   * How long in milliseconds a burst may last before the queue counts as overloaded: a finite number above `target`. Nothing is shed
   * unless several are dequeued within an interval, so it must be some multiple of the time between two dequeues.
   *
   * @default 100
   */
  readonly interval?: number | undefined
}

/**
 * The defaults of `Options`: those of folly and of RFC 8289, for work of a few milliseconds.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults: { readonly target: number; readonly interval: number } = { target: 5, interval: 100 }

/**
 * What to do with an entry that leaves the queue.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "serve" | "shed"

/**
 * The state of the rule for one queue. Made by `make`.
 *
 * **Details**
 *
 * The queue is overloaded for one interval if each delay of the interval before was above `target`. While it is, an entry whose
 * delay is above twice `target` is shed, but never the first of an interval.
 *
 * This is the variant of folly (`folly/executors/Codel.cpp`), which found a fixed bound to do better for services than the
 * ever faster drops of the original (Nichols and Jacobson, RFC 8289), which speak to the congestion control of TCP. Changed:
 *
 * - After an interval in which something was shed the queue stays overloaded, unless it was found empty. Delays are short then
 *   because of the shedding: with few requests per `target`, folly's rule takes that for the end of the overload, and lets the
 *   queue grow for two intervals each time. "Fail at Scale" (ACM Queue 2015) judges by the empty queue alone.
 * - An interval in which nothing was dequeued ends the overload. Folly would judge by the delays from before the pause.
 * - The first interval is a whole one. Folly ends it at the second entry.
 * - `empty` notes a queue that was found empty, for which no time has to be read.
 *
 * @category models
 * @since 0.1.0
 */
export class CoDel {
  readonly #leastTarget: number
  readonly #leastInterval: number
  #target: number
  #interval: number
  #intervalEnd = -Infinity
  #minDelay = 0
  #overloaded = false
  #hasShed = false

  /** Use `make`, which checks the options. */
  constructor(target: number, interval: number) {
    this.#leastTarget = this.#target = target
    this.#leastInterval = this.#interval = interval
  }

  /** The longest delay that is never shed: twice the target. */
  get tolerance(): number {
    return 2 * this.#target
  }

  /** Makes target and interval so many times as long as they were given, from 1: for work that takes longer than the target. */
  stretch(factor: number): void {
    this.#target = this.#leastTarget * factor
    this.#interval = this.#leastInterval * factor
  }

  /**
   * Takes note of an entry that leaves the queue at the time `now` after a wait of `delay` milliseconds, and says whether to serve
   * it. A delay below 0 counts as 0.
   */
  dequeued(delay: number, now: number): Verdict {
    if (now >= this.#intervalEnd) {
      const stays = this.#hasShed && this.#minDelay > 0
      this.#overloaded = (stays || this.#minDelay > this.#target) && !this.#idle(now)
      this.#hasShed = false
      this.#intervalEnd = now + this.#interval
      this.#minDelay = Math.max(delay, 0)
      return "serve"
    }
    if (delay < this.#minDelay) this.#minDelay = Math.max(delay, 0)
    if (!this.#overloaded || delay <= this.tolerance) return "serve"
    this.#hasShed = true
    return "shed"
  }

  /** Takes note that the queue was found empty, which is a delay of 0: an overload ends with the present interval. */
  empty(): void {
    this.#minDelay = 0
  }

  /** Whether the queue is overloaded at the time `now`, as far as the delays up to now tell. */
  overloaded(now: number): boolean {
    return this.#overloaded && !this.#idle(now)
  }

  /** Whether a whole interval went by after the last one without a dequeue. */
  #idle(now: number): boolean {
    return now >= this.#intervalEnd + this.#interval
  }
}

/**
 * Creates the rule for one queue.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * **Example** (A queue that stays late for an interval)
 *
 * ```ts
 * const codel = CoDel.make({ target: 5, interval: 100 })
 * codel.dequeued(20, 0) // "serve": the first interval only measures
 * codel.dequeued(20, 100) // "serve": overloaded from here, but the first of an interval is never shed
 * codel.dequeued(20, 101) // "shed": above 2 * target
 * codel.dequeued(8, 102) // "serve"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): CoDel => {
  const { interval = defaults.interval, target = defaults.target } = options
  if (!(target > 0 && target < Infinity)) {
    throw new RangeError(`CoDel.make: target must be a finite number of milliseconds > 0, got ${target}`)
  }
  if (!(interval > target && interval < Infinity)) {
    throw new RangeError(
      `CoDel.make: interval must be a finite number of milliseconds > target (${target}), got ${interval}`
    )
  }
  return new CoDel(target, interval)
}
