/**
 * A concurrency limit that is found by what is seen of the requests: their latency, their outcome, how many were done.
 *
 * The algorithms are pure steps from window to window, so each can be simulated, tested and changed for another. The driver that
 * `make` creates gathers what is seen into windows without making an object a request, and says the limit. It reads no clock and
 * schedules nothing: times go in as numbers.
 *
 * `docs/adaptive-limit.md` compares them in simulations, and says which to take for what. In short: `knee` for a dependency whose
 * capacity is not known, `fixed` where it is known. The others throttle traffic of several kinds that nothing is wrong with.
 *
 * @since 0.1.0
 */
import type {
  AimdOptions,
  FixedOptions,
  Gradient2Options,
  GradientOptions,
  KneeOptions,
  VegasOptions
} from "./AdaptiveLimitOptions.ts"
import * as Aimd from "./internal/adaptiveLimit/aimd.ts"
import * as Driver from "./internal/adaptiveLimit/driver.ts"
import * as Fixed from "./internal/adaptiveLimit/fixed.ts"
import * as Gradient from "./internal/adaptiveLimit/gradient.ts"
import * as Gradient2 from "./internal/adaptiveLimit/gradient2.ts"
import * as Knee from "./internal/adaptiveLimit/knee.ts"
import * as Vegas from "./internal/adaptiveLimit/vegas.ts"

/**
 * The options, which have a module of their own.
 *
 * @category options
 * @since 0.1.0
 */
export * from "./AdaptiveLimitOptions.ts"

/**
 * How a request ended: its answer was of use (`success`), it failed or was too late (`dropped`), or it says nothing about the
 * capacity (`ignored`), like one that was refused for its own fault before anything was done.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "success" | "dropped" | "ignored"

/**
 * What was seen in one window. Times are in milliseconds. Requests with the outcome `ignored` are in none of its figures.
 *
 * @category models
 * @since 0.1.0
 */
export interface Window {
  /** When the window ended, by the monotonic clock of the caller. */
  readonly endedAt: number
  /** How long it was: above 0. */
  readonly duration: number
  /** The requests that ended in it, an integer from 1. */
  readonly samples: number
  /** Those of `samples` that failed or were too late. */
  readonly dropped: number
  /** The mean latency of those that succeeded, 0 when none did. */
  readonly meanLatency: number
  /** The least latency of those that succeeded, 0 when none did. */
  readonly minLatency: number
  /** The median of the latencies of those that succeeded, to 5 %; 0 when none did. */
  readonly medianLatency: number
  /**
   * The mean of the latencies of all samples, weighted by the latency itself: how long a permit that is out at a random moment is
   * held. One request of 5 s among a hundred of 1 ms makes it nearly 5 s, while the mean is 51 ms.
   */
  readonly heldLatency: number
  /** The most requests in flight that were seen. */
  readonly maxInFlight: number
  /** The share of samples, from 0 to 1, that were taken with the limit reached. */
  readonly full: number
}

/**
 * An algorithm as pure steps: a state goes in with what was seen, a state comes out.
 *
 * @category models
 * @since 0.1.0
 */
export interface Algorithm<S> {
  /** The state before anything was seen. */
  readonly initial: S
  /** The state after a window. */
  readonly step: (state: S, window: Window) => S
  /** The limit in a state: an integer from 1. */
  readonly limit: (state: S) => number
}

/**
 * Options of `make`: when a window is closed.
 *
 * @category options
 * @since 0.1.0
 */
export interface WindowOptions {
  /**
   * The least length of a window in milliseconds: a finite number above 0. Envoy's examples have 100 ms, Netflix's default is 1 s;
   * `vegas`, `gradient2` and `aimd` make one step a window, so that they are ten times slower by that.
   *
   * @default 100
   */
  readonly duration?: number | undefined
  /**
   * The least number of requests in a window: an integer from 1. A window is as long as it takes.
   *
   * @default 10
   */
  readonly samples?: number | undefined
}

/**
 * The defaults of `WindowOptions`.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults: { readonly duration: number; readonly samples: number } = { duration: 100, samples: 10 }

/**
 * A limit and what it learns from. Made by `make`.
 *
 * **Details**
 *
 * It only learns when requests end: while none does, the limit stays. What waits for a permit must not be in the latency, or the
 * queue before the limit is taken for the slowness of what is behind it.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdaptiveLimit {
  /** The present limit: an integer from 1. */
  readonly limit: number
  /**
   * Takes note of a request that ended at the time `now`, `latency` milliseconds after it got its permit, with `inFlight` requests
   * running, itself counted. Returns the limit after it. A latency below 1 us counts as 1 us. O(1), and nothing is allocated but
   * when a window is closed.
   */
  record(now: number, latency: number, inFlight: number, outcome: Outcome): number
}

/**
 * Creates a limit that follows an algorithm.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * **Example** (The limit of a semaphore)
 *
 * ```ts
 * const adaptive = AdaptiveLimit.make(AdaptiveLimit.knee({ max: 200 }))
 * const queue = AdmissionQueue.make<Task>({ limit: adaptive.limit, maxQueued: 100 })
 * // when a task ends, before its permit is given back:
 * queue.resize(adaptive.record(now, now - startedAt, queue.running, "success"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <S>(algorithm: Algorithm<S>, options: WindowOptions = {}): AdaptiveLimit =>
  Driver.make(algorithm, { ...defaults, ...options })

/**
 * Creates the algorithm that always says the same limit: right where the capacity is known, and for what has none of its own.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fixed = (options: FixedOptions): Algorithm<Fixed.State> => Fixed.make(options)

/**
 * Creates the algorithm that adds one to the limit for each window in which at least half of it was in use, and multiplies it with
 * `backoff` for one with a drop: additive increase, multiplicative decrease.
 *
 * **Details**
 *
 * After Netflix's `AIMDLimit`, which counts what took longer than 5 s as a drop; here the caller says what a drop is. It looks at
 * nothing but drops: it finds how many requests are served in time at all, not where waiting begins, and failures that have
 * nothing to do with load bring it down as far as `min`.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const aimd = (options: AimdOptions = {}): Algorithm<Aimd.State> => Aimd.make(options)

/**
 * Creates the algorithm that takes the growth of latency over the least for a queue, and keeps that queue between 3 and 6 times the
 * logarithm of the limit.
 *
 * **Details**
 *
 * After Netflix's `VegasLimit`, itself after TCP Vegas (Brakmo and Peterson, 1995): `queue = limit * (1 - least / mean)`, and with
 * `L = max(1, floor(log10(limit)))` the limit grows by `6 L` while the queue is at most `L`, by `L` while it is below `3 L`, and
 * falls by `L` when it is above `6 L` or when there was a drop. Changed:
 *
 * - Netflix takes the latency of a window under load for the new least one when it probes, so that the least drifts upwards, and the
 *   limit with it (issue 165). Here the limit is halved for the probe: the queue empties first.
 *
 * The least latency is that of the kind of requests that were fast at some time: before traffic of several kinds it throttles
 * whenever there are more of the slow ones.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const vegas = (options: VegasOptions = {}): Algorithm<Vegas.State> => Vegas.make(options)

/**
 * Creates the algorithm that compares the latency of a window with the long-term mean, and lowers the limit by their ratio.
 *
 * **Details**
 *
 * After Netflix's `Gradient2Limit`: `gradient = clamp(tolerance * long / short, 0.5, 1)`, the limit goes to `limit * gradient +
 * queueSize`, smoothed; a long-term mean above twice the present one falls by 5 % a window, and a window with less than half of
 * the limit in use changes nothing. Changed:
 *
 * - Netflix does not look at drops: with a constant time-out all latencies are the same, and the limit grows to `max` while
 *   everything fails (issue 137). Here a window with a drop multiplies the limit with `backoff`, and teaches no latency.
 *
 * An overload that lasts becomes the long-term mean: then the limit grows again.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gradient2 = (options: Gradient2Options = {}): Algorithm<Gradient2.State> => Gradient2.make(options)

/**
 * Creates the algorithm that lets only a few requests in from time to time, to measure the latency without a queue, and
 * multiplies the limit with the ratio of that to the present latency.
 *
 * **Details**
 *
 * After Envoy's adaptive concurrency filter (gradient controller): `gradient = clamp(least * (1 + buffer) / median, 0.5, 2)`, the
 * limit goes to `limit * gradient + sqrt(limit)`. The least latency is the median of `measureSamples` requests with
 * `measureLimit` in flight, measured at the start, every `measureEvery` and after five windows at the lowest limit. Changed:
 *
 * - Drops multiply the limit with `backoff`. Envoy looks at latencies alone.
 * - Windows with less than half of the limit in use do not raise it.
 *
 * It refuses nearly everything while it measures, which is short where requests are fast and many.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gradient = (options: GradientOptions = {}): Algorithm<Gradient.State> => Gradient.make(options)

/**
 * Creates the algorithm that tries whether another limit gets more done: it looks for the knee, above which more requests in flight
 * only wait. It is the one that Spillway recommends for a capacity that is not known.
 *
 * **Details**
 *
 * While the limit is reached it measures how many requests succeed in a time, changes the limit by a quarter, measures again, and
 * keeps the change if it was worth it:
 *
 * - a higher limit, if the throughput grew by more than `gain` of the growth of the limit, or if the median latency did not grow;
 * - a lower one, if the throughput fell by less than that, and the median latency fell with the limit.
 *
 * Steps that succeed grow up to a factor of two. After two that fail the next are made rarer, down to one in 17 measurements, until
 * the throughput changes by a quarter. The throughput of a lower limit is not judged before the requests of the former one are gone,
 * for which it waits 1.25 times `heldLatency`.
 *
 * With a `gain` of one half the comparison is for Kleinrock's power, throughput over latency ("Power and deterministic rules of
 * thumb", ICC 1979), since by Little's law `throughput / latency = throughput ** 2 / limit`; the default of a quarter wants more
 * throughput and takes more latency for it. Trying and comparing what comes of it is the idea of PCC (Dong et al., NSDI 2015).
 * No latency is compared with one of another time, so a limit that is not reached stays as it is in whatever mixture of requests
 * of 1 ms and of 5 s.
 *
 * Drops: five or more that are above `tolerance` lower the limit to 0.7 of it, though not below what was in flight where that was
 * less, and if their share did not fall by a fifth, it is not the limit that they come from: then it is the background until they
 * get fewer. If half of all fail, the limit goes to half of what was in flight, again and again; when they succeed again it is
 * doubled with each window, up to the first of these halves or to where they fail.
 *
 * **Gotchas**
 *
 * - A limit of requests that take seconds is found in minutes. Start at `max` where such requests are many, which is the
 *   default, and near the expected limit where the capacity of one dependency is to be found.
 * - What it finds is one knee. Behind it may be one dependency that is saturated and others that are not. A `Bulkhead` for each
 *   dependency tells them apart.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const knee = (options: KneeOptions = {}): Algorithm<Knee.State> => Knee.make(options)
