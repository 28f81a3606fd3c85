import type { AdmissionQueue } from "@spillway/runtime/AdmissionQueue"
import { DecayingRate } from "./decayingRate.ts"

/** The longest `Retry-After`: what the last few requests say means nothing for much later. */
const maxSeconds = 60

/** Over how many seconds at least those come back who are refused together. */
const leastSpread = 3

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
   * fast as requests were served lately; 0.5 to 1.5 times that at `random`. Of many who are refused at once each is told when its own turn
   * would be if they came in order: so they come back about as fast as they can be served (simulated: a million clients at servers that
   * could answer them in 25 s are all answered within 30 s; with 1 to 2 times 92 % are).
   */
  seconds(queue: AdmissionQueue<unknown>, now: number, random: number): number {
    const rate = this.#served.perSecond(now)
    const backlog = queue.queued + this.#refused.count(now)
    const estimate = Math.max(1, queue.retryAfter() / 1000, rate === 0 ? 0 : backlog / rate)
    const seconds = Math.ceil(estimate + (random - 0.5) * Math.max(estimate, leastSpread))
    return Math.min(maxSeconds, Math.max(1, seconds))
  }
}
