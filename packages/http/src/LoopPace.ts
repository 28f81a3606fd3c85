/**
 * How fast handlers are started: as fast as the event loop carries them to their end.
 *
 * A handler that waits for a database and computes when the answer is there is started for next to nothing. No limit of what is inside sees
 * in time that the loop has more to do than it can: what it is to compute comes later, when all those are inside already, and then it comes for all of
 * them at once. So the door hands out the time of the loop, of which each start takes what a request has cost lately, from its first byte to its last.
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
  /** For how long requests may always wait, in milliseconds, above 0. */
  readonly target: number
  /** For how long the loop has been busy so far, in milliseconds. */
  readonly busyTime: () => number
}

/**
 * What is known when the event loop gets to a probe.
 *
 * @category models
 * @since 0.1.0
 */
export interface Probe {
  /** When that is, in milliseconds of a monotonic clock. */
  readonly now: number
  /** By how many milliseconds that is too late. */
  readonly late: number
  /** Whether somebody waits at the door. */
  readonly isWaiting: boolean
  /** How long requests are inside, in milliseconds; `undefined`: not known. */
  readonly meanHold: number | undefined
  /** How many are inside. */
  readonly inside: number
}

/** So many may always be inside: what a few cost can be found out only where they run. */
const minInside = 3

/** Time of the loop that may be taken at once, in multiples of the target: by those who come when nobody waits, and by those who wait. */
const [calm, busy] = [10, 0.5]

/**
 * Of the lateness: over so many milliseconds it is averaged, by so many it takes the pace to 0 where requests take no time, and the time of those
 * which take longer than this says nothing of when it would be seen that the pace was changed.
 */
const [smoothing, softness, longHold] = [20, 100, 500]

/** So many may start at once when nobody waits, whatever they cost: it may not be true any more. */
const burst = 32

/** The mean cost is that of about the last second; it is reckoned anew once in `period`, of no fewer than `minCount` requests. */
const [memory, period, minCount] = [1000, 100, 8]

/** What costs less than so many milliseconds is cheap: see `isCheap`. */
const cheap = 0.5

/** What so many that ended last have cost counts if it is less than the mean: what was known in quiet times says little of a burst. */
const fewCount = 16

/**
 * The pace. Made by `make`.
 *
 * **Details**
 *
 * A token bucket of milliseconds. It fills as time goes by: with 1 ms a millisecond while the loop is no later than `target`, and with less the
 * later it is: how much less depends on how long requests are inside, since what is changed now is seen only after that (nothing from 100 ms and
 * twice that on; of those that take long, 500 ms count). It holds half of `target`, and as long as nobody waits ten times `target`, or what 32
 * requests cost: a burst which the loop soon has behind it starts as it comes. A start takes the price of a request, and a handler is started whenever there is any time left, or fewer than
 * 3 are inside, which leaves no debt.
 *
 * The cost is the time that the loop was busy while there were requests, by how many ended: the mean of about the last second with requests (what
 * was longer ago weighs less by a factor of e a second). It rises no further than if those inside counted as ended in part, by how long they
 * are there over the mean of that: while many begin and few end, those few are not all that is done. The price is that, or what the 16 that ended
 * last cost where it is less. Of fewer than
 * 8 requests there is none, and no pace. Whatever else burdens the loop makes requests dearer, and the pace slower. A response that computes as
 * it is streamed does so when its handler has ended: the pace does not see how many do.
 *
 * It is not thread-safe, and belongs to the event loop on which it is made. All operations are O(1).
 *
 * @category models
 * @since 0.1.0
 */
export class LoopPace {
  readonly #options: Options
  #left: number
  #filledAt = 0
  #pace = 1
  #late = 0
  #probedAt = 0
  #elapsed = 0
  #busyAt = 0
  #ended = 0
  /** What those inside have got done of their time there: 1 for a whole request. */
  #progress = 0
  #busyTime = 0
  #cost: number | undefined = undefined
  /** Of those that ended last: how many, how long the loop was busy meanwhile, and what came of it. */
  #lately = 0
  #busyLately = 0
  #costLately = Infinity

  /** Use `make`. */
  constructor(options: Options) {
    this.#options = options
    this.#left = calm * options.target
  }

  /** The time that the event loop was busy for a request, in milliseconds: the mean. `undefined` where too few are known. */
  get cost(): number | undefined {
    return this.#cost
  }

  /** What a start takes, in milliseconds: the cost, or that of those which ended last, where it is less. `undefined` as `cost`. */
  get price(): number | undefined {
    return this.#cost === undefined ? undefined : Math.min(this.#cost, this.#costLately)
  }

  /** Whether requests cost so little, less than 0.5 ms, that to read others before one is started would cost as much. */
  get isCheap(): boolean {
    return this.#cost !== undefined && Math.min(this.#cost, this.#costLately) < cheap
  }

  /** Whether one more may be started, with so many inside, and some waiting or not. */
  mayStart(now: number, inside: number, isWaiting: boolean): boolean {
    if (inside < minInside || this.#cost === undefined) return true
    this.#fill(now, isWaiting)
    return this.#left > 0
  }

  /** One was started, or goes on after `paused`. */
  started(): void {
    const price = this.price ?? 0
    // Those that may always be inside leave no debt behind which others would have to pay.
    this.#left = Math.max(this.#left - price, -price)
  }

  /** One that was started waits for its client, and is started again later. */
  paused(): void {
    this.#left += this.price ?? 0
  }

  /** One has come to its end. */
  ended(): void {
    this.#ended++
    this.#lately++
  }

  /** Probes begin, after a time in which nobody was inside and nobody waited. */
  begin(now: number): void {
    this.#costLately = Infinity
    this.#left = this.#most(false)
    this.#filledAt = this.#probedAt = now
    this.#busyAt = this.#options.busyTime()
    this.#late = 0
    this.#pace = 1
  }

  /** The loop got to a probe. */
  probe({ inside, isWaiting, late, meanHold = 0, now }: Probe): void {
    this.#fill(now, isWaiting)
    const gap = now - this.#probedAt
    this.#probedAt = now
    this.#late += Math.min(1, gap / smoothing) * (late - this.#late)
    const excess = Math.max(0, this.#late - this.#options.target)
    this.#pace = Math.max(0, 1 - excess / (softness + 2 * Math.min(meanHold, longHold)))
    const busyAt = this.#options.busyTime()
    this.#busyTime += busyAt - this.#busyAt
    this.#busyLately += busyAt - this.#busyAt
    this.#busyAt = busyAt
    this.#elapsed += gap
    if (meanHold > 0) this.#progress += (inside * gap) / meanHold
    if (this.#lately >= fewCount) this.#reckonLately()
    if (this.#elapsed >= period) this.#reckon()
  }

  #fill(now: number, isWaiting: boolean): void {
    const filled = this.#left + this.#pace * (now - this.#filledAt)
    // What there is beyond that was there before somebody waited.
    this.#left = Math.max(this.#left, Math.min(this.#most(isWaiting), filled))
    this.#filledAt = now
  }

  #most(isWaiting: boolean): number {
    const { target } = this.#options
    return isWaiting ? busy * target : Math.max(calm * target, burst * (this.price ?? 0))
  }

  #reckonLately(): void {
    this.#costLately = this.#busyLately / this.#lately
    this.#lately = this.#busyLately = 0
  }

  #reckon(): void {
    this.#cost = this.#ended < minCount ? undefined : this.#reckonCost()
    const kept = Math.exp(-this.#elapsed / memory)
    this.#busyTime *= kept
    this.#ended *= kept
    this.#progress *= kept
    this.#elapsed = 0
  }

  /** Where many have begun that have not ended, those few that ended are not all for which the loop was busy: it says nothing of a higher cost. */
  #reckonCost(): number {
    const cost = this.#busyTime / this.#ended
    if (this.#cost === undefined) return cost
    return Math.min(cost, Math.max(this.#cost, this.#busyTime / Math.max(this.#progress, this.#ended)))
  }
}

/**
 * Creates a pace.
 *
 * **Details**
 *
 * Throws a `RangeError` for a target that is not above 0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): LoopPace => {
  if (!(options.target > 0 && options.target < Infinity)) {
    throw new RangeError(`LoopPace.make: target must be above 0 and finite, got ${options.target}`)
  }
  return new LoopPace(options)
}
