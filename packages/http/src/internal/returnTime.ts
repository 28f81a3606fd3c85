import type { AdmissionQueue } from "@spillway/runtime/AdmissionQueue"
import { DecayingRate } from "./decayingRate.ts"

/** The longest `Retry-After`: after a minute an estimate from the last few requests means nothing. */
const maxSeconds = 60

/** What was served, and refused, in about this time says how long it would take to serve those who were refused, in milliseconds. */
const memoryMillis = 2000

/** Estimates when those who are refused may come back. */
export class ReturnTime {
  readonly #served = new DecayingRate(memoryMillis)
  readonly #refused = new DecayingRate(memoryMillis)

  served(now: number): void {
    this.#served.add(now)
  }

  refused(now: number): void {
    this.#refused.add(now)
  }

  /**
   * In whole seconds: how long it takes until a permit is free for one more, and to serve those who wait and those who were refused lately, as
   * fast as requests were served lately; lengthened by up to the same time at `random`, so that those who were refused together do not
   * come back together.
   */
  seconds(queue: AdmissionQueue<unknown>, now: number, random: number): number {
    const rate = this.#served.perSecond(now)
    const backlog = queue.queued + (this.#refused.perSecond(now) * memoryMillis) / 1000
    const seconds = Math.max(1, queue.retryAfter() / 1000, rate === 0 ? 0 : backlog / rate)
    return Math.min(maxSeconds, Math.ceil(seconds * (1 + random)))
  }
}
