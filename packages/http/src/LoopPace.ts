/**
 * How fast handlers are started: as fast as the event loop carries them to their end.
 *
 * A handler that waits for a database and computes when the answer is there is started for next to nothing. No limit of what is inside sees
 * in time that the loop has more to do than it can: what it is to compute comes later, when all those are inside already, and then it comes for all of
 * them at once. So the door hands out the time of the loop, of which each start takes what a request has cost lately, from its first byte to its last.
 *
 * @since 0.1.0
 */

import { InsideTime } from "./internal/insideTime.ts"
import { LoopCost } from "./internal/loopCost.ts"

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
  /** How many requests are inside. */
  readonly inside: number
  /** How long requests are inside, in milliseconds; `undefined`: not known. */
  readonly meanHold: number | undefined
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

/** Later than so many times the target, and nothing but the cost is believed; all again after so many milliseconds in which the loop was in time. */
const [disproof, regain] = [2, 20_000]

/** What requests cost is reckoned anew once in so many milliseconds. It is known once so many have ended, until fewer than so many did lately. */
const [period, minKnown, minKept] = [100, 8, 2]

/** What happened while the loop stood still counts as if that had been no longer: it did so once, and the mean is that of a second. */
const longest = 1000

/**
 * Sooner than that, after so many milliseconds and of so many, if they took less than such a part of what they were thought to. This and the next three
 * were chosen among others in the simulation of the tests: shorter or looser ones let more in than the loop carries where some cost more than others.
 */
const [minPeriod, minSample, cheaper] = [15, 16, 0.7]

/** If the loop was busy then for no more than such a part of the time, what was known before counts for so much. */
const [notFull, disbelief] = [0.8, 0.25]

/** But only where at most so many times as many are inside as if they were like those who ended, and stay for so many times as long as that took. */
const alike = 2

/** What costs less than so many milliseconds is cheap: see `isCheap`. */
const cheap = 0.5

/**
 * The pace. Made by `make`.
 *
 * **Details**
 *
 * A token bucket of milliseconds, of which a start takes what a request costs. It fills as time goes by: with 1 ms a millisecond while the loop is
 * no later than `target`, and with less the later it is: how much less depends on how long requests are inside, since what is changed now is seen
 * only after that (nothing from 100 ms and twice that on; of those that take long, 500 ms count). It holds half of `target`, and as long as
 * nobody waits ten times `target`, or what 32 requests cost: a burst which the loop soon has behind it starts as it comes. A handler is started
 * whenever there is any time left, or fewer than 3 are inside, which leaves no debt.
 *
 * The cost is the time that the loop was busy while there were requests, by how many ended: the mean of about the last second with requests (what
 * was longer ago weighs less by a factor of e a second). But it is no more than the mean time for which they were inside, and 0.2 ms to read and
 * answer them: what is more is for others, and the bucket fills in the time that they leave. Before 8 requests have ended there is none, and no
 * pace, and again once fewer than 2 did in the last second: so handlers that take the loop half a second each are not held back. However long the
 * loop stood still, what happened meanwhile counts as a second. It is reckoned every 100 ms, and sooner where some wait and those who ended since
 * took less than 0.7 of it. If then the loop was idle for a fifth of the time, and those inside are like those who ended, all that was before
 * counts for a quarter only. Few requests at a time cost more each than many do, since each wakes the loop, and code that has just begun to run is
 * slow: when many come at once the door must not stay as narrow as for those before. They are alike if no more than twice as many are inside as
 * were there of those who ended, and 3 (Little's law), and if those found inside in the last second stayed for no more than twice as long as it
 * took to see this. Otherwise some may be inside that are dearer, and have not ended yet.
 * The cost holds what all else on the loop takes, as those do who are refused: each then costs the more the fewer are let in, and a door that
 * went by that alone would stay as narrow as it is. So it is reckoned apart what the loop takes for those who were let in, for all who come,
 * and for itself (least squares over the last second). By how much the cost is more than the first, up to 20 times, the bucket fills faster,
 * in the part of the time that the other two leave, and holds as much more, up to ten times `target`. That may be wrong where some cost much
 * more than others: when the loop was late by more than twice `target` on average nothing but the cost counts, and what is reckoned apart
 * comes back over 20 s.
 *
 * A response that computes as it is streamed does so when its handler has ended: the pace does not see how many do.
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
  readonly #costs = new LoopCost()
  #cost: number | undefined = undefined
  /** How many have ended since so few did that it was not known. */
  #known = 0
  /** How fast the bucket may fill by the cost, how fast by what requests take themselves, and how far that is believed. */
  #share = 1
  #speed = 1
  #trust = 1
  /** What happened since the cost was reckoned. */
  #elapsed = 0
  #busy = 0
  #came = 0
  #ended = 0
  #held = 0
  #busyAt = 0
  readonly #insideTime = new InsideTime()

  /** Use `make`. */
  constructor(options: Options) {
    this.#options = options
    this.#left = calm * options.target
  }

  /** The time that the event loop was busy for a request, in milliseconds: the mean. `undefined` where too few are known. */
  get cost(): number | undefined {
    return this.#cost
  }

  /** Whether requests cost so little, less than 0.5 ms, that to read others before one is started would cost as much. */
  get isCheap(): boolean {
    return this.#cost !== undefined && this.#cost < cheap
  }

  /** Whether one more may be started, with so many inside, and some waiting or not. */
  mayStart(now: number, inside: number, isWaiting: boolean): boolean {
    if (inside < minInside || this.#cost === undefined) return true
    this.#fill(now, isWaiting)
    return this.#left > 0
  }

  /** One was started, or goes on after `paused`. */
  started(): void {
    const cost = this.#cost ?? 0
    // Those that may always be inside leave no debt behind which others would have to pay.
    this.#left = Math.max(this.#left - cost, -cost)
  }

  /** One that was started waits for its client, after so many milliseconds, and is started again later. */
  paused(held: number): void {
    this.#held += held
    // What is dear now may have been cheap when it was started.
    const most = calm * this.#options.target
    this.#left = Math.max(this.#left, Math.min(most, this.#left + (this.#cost ?? 0)))
  }

  /** One that waited for its client has ended: what it has taken is not given back. */
  gone(): void {
    this.started()
    this.ended(0)
  }

  /** One has come to the door. */
  came(): void {
    this.#came++
  }

  /** One that was started has come to its end, after so many milliseconds. */
  ended(held: number): void {
    this.#ended++
    this.#held += held
    this.#insideTime.add(held)
  }

  /** Probes begin, after a time in which nobody was inside and nobody waited. */
  begin(now: number): void {
    this.#left = this.#most(false)
    this.#filledAt = this.#probedAt = now
    this.#busyAt = this.#options.busyTime()
    this.#late = 0
    this.#pace = 1
    this.#came = 0
  }

  /** The loop got to a probe. */
  probe({ inside, isWaiting, late, meanHold = 0, now }: Probe): void {
    this.#fill(now, isWaiting)
    const gap = now - this.#probedAt
    this.#probedAt = now
    this.#late += Math.min(1, gap / smoothing) * (late - this.#late)
    const { target } = this.#options
    const behind = Math.max(0, this.#late - target)
    this.#pace = Math.max(0, 1 - behind / (softness + 2 * Math.min(meanHold, longHold)))
    this.#trust = this.#late > disproof * target ? 0 : Math.min(1, this.#trust + gap / regain)
    this.#insideTime.pass(gap)
    const busyAt = this.#options.busyTime()
    this.#busy += Math.max(0, busyAt - this.#busyAt)
    this.#busyAt = busyAt
    this.#elapsed += gap
    const isDisproved = isWaiting && this.#isDisproved
    if (isDisproved || this.#elapsed >= period)
      this.#reckon(isDisproved && this.#isIdle && this.#areAlike(inside) ? disbelief : 1)
  }

  /** By how many milliseconds the bucket fills in one. */
  get #believed(): number {
    return this.#share + this.#trust * (this.#speed - this.#share)
  }

  #fill(now: number, isWaiting: boolean): void {
    const filled = this.#left + this.#pace * this.#believed * (now - this.#filledAt)
    // What there is beyond that was there before somebody waited.
    this.#left = Math.max(this.#left, Math.min(this.#most(isWaiting), filled))
    this.#filledAt = now
  }

  #most(isWaiting: boolean): number {
    const { target } = this.#options
    return isWaiting
      ? Math.min(calm, busy * Math.max(1, this.#believed)) * target
      : Math.max(calm * target, burst * (this.#cost ?? 0))
  }

  /** Whether those who ended since the cost was reckoned took much less than that. */
  get #isDisproved(): boolean {
    const isSample = this.#elapsed >= minPeriod && this.#ended >= minSample
    return isSample && this.#busy < cheaper * this.#ended * (this.#cost ?? 0)
  }

  /** Whether the loop had time since then. */
  get #isIdle(): boolean {
    return this.#busy <= notFull * this.#elapsed
  }

  /**
   * Whether those inside are like those who ended since then: no more than the latter were at a time (Little's law), and none of those who stay for
   * longer, and may be dearer, as far as such have ended in the last second.
   */
  #areAlike(inside: number): boolean {
    const before = this.#held / this.#elapsed
    return inside <= minInside + alike * before && this.#insideTime.mean <= alike * this.#elapsed
  }

  /** `believed` is how much what was known before still counts. */
  #reckon(believed: number): void {
    const costs = this.#costs
    const part = Math.min(1, longest / this.#elapsed)
    costs.add(
      {
        elapsed: part * this.#elapsed,
        busy: part * this.#busy,
        came: part * this.#came,
        ended: part * this.#ended,
        held: part * this.#held
      },
      believed
    )
    this.#known = costs.ended < minKept ? costs.ended : this.#known + this.#ended
    const isKnown = this.#known >= minKnown
    this.#cost = isKnown ? costs.mean : undefined
    this.#speed = isKnown ? costs.speed : 1
    this.#share = isKnown ? costs.share : 1
    this.#elapsed = this.#busy = this.#came = this.#ended = this.#held = 0
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
