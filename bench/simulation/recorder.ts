/** What came of it, by half seconds. */
import { quantile } from "../support/statistics.ts"
import type { Answer } from "./server.ts"

export const bucketMillis = 500

interface Bucket {
  offered: number
  attempted: number
  good: number
  failed: number
  refused: number
  latencies: Array<number>
  limits: ReadonlyArray<number>
}

export interface PhaseResult {
  readonly name: string
  /** Requests that clients had, in a second. */
  readonly offered: number
  /** Attempts that the servers saw, in a second. */
  readonly attempted: number
  /** Answers in time, in a second. */
  readonly goodput: number
  /** Goodput over what was possible: the lesser of what was offered and what could be served. */
  readonly share: number
  /** Milliseconds until the answer, of those that were answered in time; `null` when none was. */
  readonly p99: number | null
  /** Percent of attempts. */
  readonly refused: number
  /** Seconds after which goodput was never less than 80 % of what was possible, in any two seconds; `null` for never. */
  readonly convergence: number | null
  /** At the end of the phase, the mean of the servers. */
  readonly limit: number
}

interface PhaseOf {
  readonly name: string
  /** What could be served in a second. */
  readonly capacity: number
  /** What could be answered in all, if it is not that and what comes. */
  readonly possible?: number
}

const sum = (buckets: ReadonlyArray<Bucket>, of: (bucket: Bucket) => number) =>
  buckets.reduce((total, bucket) => total + of(bucket), 0)

const rounded = (value: number, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits

export class Recorder {
  readonly #buckets: Array<Bucket> = []

  offered(now: number): void {
    this.#at(now).offered++
  }

  attempted(now: number): void {
    this.#at(now).attempted++
  }

  answered(now: number, answer: Answer, latency: number): void {
    const bucket = this.#at(now)
    bucket[answer]++
    if (answer === "good") bucket.latencies.push(latency)
  }

  limits(now: number, limits: ReadonlyArray<number>): void {
    this.#at(now).limits = limits
  }

  /** The mean limit of the servers, by seconds. */
  limitSeries(): ReadonlyArray<readonly [second: number, limit: number]> {
    return this.#buckets
      .map((bucket, i) => [(i * bucketMillis) / 1000, bucket] as const)
      .filter(([, { limits }]) => limits.length > 0)
      .map(([second, { limits }]) => [second, limits.reduce((a, b) => a + b) / limits.length] as const)
  }

  goodputSeries(): ReadonlyArray<readonly [second: number, goodput: number]> {
    return this.#buckets.map(({ good }, i) => [(i * bucketMillis) / 1000, (good * 1000) / bucketMillis] as const)
  }

  /** What came of a phase, from `from` to `to`. */
  phase({ capacity, name, possible }: PhaseOf, from: number, to: number): PhaseResult {
    const buckets = Array.from({ length: (to - from) / bucketMillis }, (_, i) => this.#at(from + i * bucketMillis))
    const seconds = (to - from) / 1000
    const [offered, good] = [sum(buckets, (b) => b.offered), sum(buckets, (b) => b.good)]
    const attempted = sum(buckets, (b) => b.attempted)
    const latencies = buckets.flatMap((bucket) => bucket.latencies).toSorted((a, b) => a - b)
    return {
      name,
      offered: rounded(offered / seconds),
      attempted: rounded(attempted / seconds),
      goodput: rounded(good / seconds),
      share: rounded(good / (possible ?? Math.min(offered, capacity * seconds)), 3),
      p99: latencies.length === 0 ? null : rounded(quantile(latencies, 0.99)),
      refused: rounded((100 * sum(buckets, (b) => b.refused)) / attempted),
      convergence: possible === undefined ? convergence(buckets, capacity) : null,
      limit: rounded(mean(buckets.at(-1)!.limits))
    }
  }

  #at(now: number): Bucket {
    const index = Math.floor(now / bucketMillis)
    while (this.#buckets.length <= index) {
      this.#buckets.push({ offered: 0, attempted: 0, good: 0, failed: 0, refused: 0, latencies: [], limits: [] })
    }
    return this.#buckets[index]!
  }
}

const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

/** Two seconds: of fewer answers the number is too random. */
const stretch = 4

const convergence = (buckets: ReadonlyArray<Bucket>, capacity: number): number | null => {
  const possible = (some: ReadonlyArray<Bucket>) =>
    Math.min(
      sum(some, (b) => b.offered),
      (some.length * capacity * bucketMillis) / 1000
    )
  for (let i = buckets.length - stretch; i >= 0; i--) {
    const some = buckets.slice(i, i + stretch)
    if (sum(some, (b) => b.good) < 0.8 * possible(some)) {
      return i === buckets.length - stretch ? null : ((i + stretch) * bucketMillis) / 1000
    }
  }
  return 0
}
