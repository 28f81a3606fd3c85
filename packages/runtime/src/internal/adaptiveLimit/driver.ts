import type { AdaptiveLimit, Algorithm, Outcome, Window, WindowOptions } from "../../AdaptiveLimit.ts"
import { check, checkCount } from "./bounds.ts"

/** Steps of 2 ** (1 / 14), which is 5 %, from 1 us to beyond a day. */
const perOctave = 14
const buckets = 37 * perOctave
const leastLatency = 0.001

/** Counts by the logarithm, for the median of a window. */
class Histogram {
  readonly #counts = new Uint32Array(buckets)

  add(latency: number): void {
    const bucket = Math.floor(Math.log2(latency / leastLatency) * perOctave)
    this.#counts[Math.min(bucket, buckets - 1)]!++
  }

  /** The middle of the bucket in which the median of `count` values lies. */
  median(count: number): number {
    let below = 0
    let bucket = 0
    while (bucket < buckets - 1 && (below += this.#counts[bucket]!) * 2 < count) bucket++
    return leastLatency * 2 ** ((bucket + 0.5) / perOctave)
  }

  clear(): void {
    this.#counts.fill(0)
  }
}

class Driver<S> implements AdaptiveLimit {
  readonly #algorithm: Algorithm<S>
  readonly #minDuration: number
  readonly #minSamples: number
  readonly #latencies = new Histogram()
  #state: S
  #limit: number
  #startedAt = -Infinity
  #samples = 0
  #succeeded = 0
  #sum = 0
  #min = Infinity
  #held = 0
  #heldSquared = 0
  #maxInFlight = 0
  #full = 0

  constructor(algorithm: Algorithm<S>, duration: number, samples: number) {
    this.#algorithm = algorithm
    this.#minDuration = duration
    this.#minSamples = samples
    this.#state = algorithm.initial
    this.#limit = this.#sound(algorithm.limit(this.#state))
  }

  get limit(): number {
    return this.#limit
  }

  record(now: number, latency: number, inFlight: number, outcome: Outcome): number {
    if (outcome === "ignored") return this.#limit
    // NaN too.
    const took = latency >= leastLatency ? latency : leastLatency
    // A pause without requests belongs to no window: it starts when the first of its requests did.
    if (this.#samples === 0) this.#startedAt = Math.max(this.#startedAt, now - took)
    this.#samples++
    this.#held += took
    this.#heldSquared += took * took
    if (outcome === "success") this.#succeed(took)
    if (inFlight > this.#maxInFlight) this.#maxInFlight = inFlight
    if (inFlight >= this.#limit) this.#full++
    if (this.#samples >= this.#minSamples && now - this.#startedAt >= this.#minDuration) this.#close(now)
    return this.#limit
  }

  #succeed(latency: number): void {
    this.#succeeded++
    this.#sum += latency
    if (latency < this.#min) this.#min = latency
    this.#latencies.add(latency)
  }

  #close(now: number): void {
    this.#state = this.#algorithm.step(this.#state, this.#window(now))
    this.#limit = this.#sound(this.#algorithm.limit(this.#state))
    this.#latencies.clear()
    this.#startedAt = now
    this.#samples = 0
    this.#succeeded = 0
    this.#sum = 0
    this.#min = Infinity
    this.#held = 0
    this.#heldSquared = 0
    this.#maxInFlight = 0
    this.#full = 0
  }

  #window(now: number): Window {
    const some = this.#succeeded > 0
    return {
      endedAt: now,
      duration: now - this.#startedAt,
      samples: this.#samples,
      dropped: this.#samples - this.#succeeded,
      meanLatency: some ? this.#sum / this.#succeeded : 0,
      minLatency: some ? this.#min : 0,
      medianLatency: some ? this.#latencies.median(this.#succeeded) : 0,
      heldLatency: this.#heldSquared / this.#held,
      maxInFlight: this.#maxInFlight,
      full: this.#full / this.#samples
    }
  }

  /** An algorithm of the user's own may say anything; a limit of 0 would be for ever, since nothing would be seen any more. */
  #sound(limit: number): number {
    if (Number.isInteger(limit) && limit >= 1) return limit
    throw new RangeError(`AdaptiveLimit.make: the limit of an algorithm must be an integer >= 1, got ${limit}`)
  }
}

export const make = <S>(algorithm: Algorithm<S>, { duration, samples }: Required<WindowOptions>): AdaptiveLimit => {
  check(duration! > 0 && duration! < Infinity, "make: duration", "a finite number of milliseconds > 0", duration)
  checkCount("make: samples", samples!)
  return new Driver(algorithm, duration!, samples!)
}
