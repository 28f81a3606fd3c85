/**
 * Signals that say how near a process is to its limits, as a pressure from 0 to 1 that refuses requests with a probability that rises
 * gradually, the least important ones first.
 *
 * It is pure: samples and times go in as numbers, decisions come out. It starts no timer and reads no clock: whoever owns it calls
 * `update` from time to time (every 50 to 500 ms) and `refuse` for each request.
 *
 * @since 0.1.0
 */
import { getHeapStatistics } from "node:v8"
import { Gauge } from "./internal/gauge.ts"

/**
 * When a signal begins to refuse, when it refuses the most, and when it stops.
 *
 * @category options
 * @since 0.1.0
 */
export interface Thresholds {
  /** Up to this value a signal that is at rest gives no pressure: a finite number >= 0, in the unit of the signal. */
  readonly start: number
  /** From this value on the pressure is the highest: a finite number above `start`. Samples above it count as this. */
  readonly full: number
  /**
   * Only a value down here takes the pressure back to 0: from 0 to `start`. With `start` itself there is no hysteresis.
   *
   * @default 0.9 * start
   */
  readonly release?: number | undefined
  /**
   * The highest pressure that the signal gives, above 0, at most 1. With 0.5 it refuses all sheddable requests and never a normal one.
   *
   * @default 1
   */
  readonly ceiling?: number | undefined
  /**
   * The time constant in milliseconds over which samples are averaged: after it the average has made 63 % of a step, after three of
   * them 95 %. Finite, from 0, which takes each sample as it is.
   *
   * @default 250
   */
  readonly smoothing?: number | undefined
}

/**
 * Something that is measured.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signal extends Thresholds {
  /** What it is called in metrics and in the reason of a refusal. No other signal beside it may have the name. */
  readonly name: string
  /**
   * Measures it now. `NaN` says that there is nothing new: the average stays, and after `maxAge` the pressure falls. So it is with a
   * `sample` that throws, of which `update` tells.
   */
  readonly sample: () => number
}

/**
 * What a signal said at the last update.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reading {
  readonly name: string
  /** The last sample, as it was measured. `NaN` before the first. */
  readonly sample: number
  /** The average of the samples, each counted as `full` at most. 0 before the first. */
  readonly value: number
  /** From 0 to the signal's ceiling. */
  readonly pressure: number
}

/**
 * A signal whose `sample` has begun to throw, and what it threw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly name: string
  readonly error: unknown
}

/**
 * How much a request matters. `critical` ones are never refused by a signal.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = "critical" | "normal" | "sheddable"

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * By how much the pressure may fall in a second: above 0. `Infinity` lets it follow the values at once. It bounds both how fast the
   * refused come back and how long a process that has recovered goes on refusing.
   *
   * @default 2 (from 1 to 0 in half a second)
   */
  readonly maxFall?: number | undefined
  /**
   * How long the last sample of a signal counts when no other comes, in milliseconds from 0; `Infinity` counts it for ever. After that
   * its pressure falls to 0, by `maxFall`: a measurement that is broken must not refuse requests for good.
   *
   * @default 1000
   */
  readonly maxAge?: number | undefined
}

/**
 * The defaults of `Options` and of `Thresholds`; `release` is a fraction of `start`.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults = { maxFall: 2, maxAge: 1000, release: 0.9, ceiling: 1, smoothing: 250 } as const

const gauge = (signal: Signal): Gauge =>
  new Gauge(signal, {
    release: signal.release ?? signal.start * defaults.release,
    ceiling: signal.ceiling ?? defaults.ceiling,
    smoothing: signal.smoothing ?? defaults.smoothing
  })

/**
 * Some signals together. Made by `make`.
 *
 * **Details**
 *
 * A signal's pressure is 0 up to `start` and rises in a line to its ceiling at `full`, as the scaled trigger of Envoy's overload
 * manager does. It falls by another line, from `full` to `release`, and stays as it is between the two lines: a value that goes up and
 * down in between moves nothing (the play operator of hysteresis, as in the backlash of a gear). So the pressure has no jumps, is never
 * below the rising line, and reaches 0 again only once the value is at `release`. It falls by at most `maxFall` a second.
 *
 * The pressure `p` of all is the largest. A sheddable request is refused with the probability `min(1, 2p)`, a normal one with
 * `max(0, 2p - 1)`: normal requests are touched only when all sheddable ones are refused.
 *
 * **Gotchas**
 *
 * While a value rests between `release` and `start` after an overload, the pressure rests with it, at most at the falling line. Choose
 * a `release` that the load of an ordinary day stays below.
 *
 * @category models
 * @since 0.1.0
 */
export class LoadSignals {
  readonly #gauges: ReadonlyArray<Gauge>
  readonly #maxFall: number
  readonly #maxAge: number
  #updatedAt = NaN
  #pressure = 0
  #cause: string | undefined = undefined

  /** Use `make`, which checks the options. */
  constructor(signals: ReadonlyArray<Signal>, maxFall: number, maxAge: number) {
    this.#gauges = signals.map(gauge)
    this.#maxFall = maxFall
    this.#maxAge = maxAge
  }

  /**
   * Samples all signals at the time `now`, in milliseconds of a clock that does not go backwards. The time between two samples weighs
   * them, so calls need not be regular. A `sample` that throws is as one that returns `NaN`, and keeps no other from being taken: returned
   * are those that throw now and did not the last time, for the owner to say so once.
   */
  update(now: number): ReadonlyArray<Failure> {
    const elapsed = Math.max(0, now - this.#updatedAt) || 0
    this.#updatedAt = now
    // Infinity * 0 is NaN: with no time gone by nothing may fall, whatever the rate.
    const mayFall = elapsed === 0 ? 0 : (this.#maxFall * elapsed) / 1000
    const failures: Array<Failure> = []
    let largest: Gauge | undefined
    for (const gauge of this.#gauges) {
      const failure = gauge.update(now, mayFall, this.#maxAge)
      if (failure !== undefined) failures.push(failure)
      if (gauge.pressure > (largest?.pressure ?? 0)) largest = gauge
    }
    this.#pressure = largest?.pressure ?? 0
    this.#cause = largest?.name
    return failures
  }

  /** The largest pressure at the last update, from 0 to 1. */
  get pressure(): number {
    return this.#pressure
  }

  /** The name of the signal with the largest pressure, the first of equals; `undefined` without pressure. */
  get cause(): string | undefined {
    return this.#cause
  }

  /** What each signal said at the last update, in their order. */
  get values(): ReadonlyArray<Reading> {
    return this.#gauges.map(({ last, name, pressure, value }) => ({ name, sample: last, value, pressure }))
  }

  /**
   * Says whether to refuse a request: by the name of the signal that refuses it, or `undefined` if it may pass. `random` is a number
   * from 0 to below 1, drawn anew for each request.
   */
  refuse(priority: Priority, random: number): string | undefined {
    return random < this.probability(priority) ? this.#cause : undefined
  }

  /** The probability with which a request is refused now. */
  probability(priority: Priority): number {
    if (priority === "critical") return 0
    return priority === "sheddable" ? Math.min(1, 2 * this.#pressure) : Math.max(0, 2 * this.#pressure - 1)
  }
}

const check = (signal: Signal): void => {
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(
      `LoadSignals.make: ${field} of ${JSON.stringify(signal.name)} must be ${range}, got ${String(value)}`
    )
  }
  const { ceiling = defaults.ceiling, full, smoothing = defaults.smoothing, start } = signal
  const release = signal.release ?? start * defaults.release
  if (!(start >= 0 && start < Infinity)) refuse("start", "a finite number >= 0", start)
  if (!(full > start && full < Infinity)) refuse("full", `a finite number > start (${start})`, full)
  if (!(release >= 0 && release <= start)) refuse("release", `a number from 0 to start (${start})`, release)
  if (!(ceiling > 0 && ceiling <= 1)) refuse("ceiling", "a number > 0 and <= 1", ceiling)
  if (!(smoothing >= 0 && smoothing < Infinity)) refuse("smoothing", "a finite number of milliseconds >= 0", smoothing)
}

/**
 * Creates the state for some signals; with none there is never pressure.
 *
 * **Details**
 *
 * Throws a `RangeError` for a threshold or an option outside its range, and for a name that occurs twice.
 *
 * **Example** (Two signals)
 *
 * ```ts
 * const signals = LoadSignals.make([
 *   LoadSignals.heap(),
 *   LoadSignals.saturation("images", () => Effect.runSync(Offload.saturation(images)))
 * ])
 * signals.update(now)
 * signals.refuse("sheddable", Math.random()) // undefined, or "heap", or "images"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (signals: ReadonlyArray<Signal>, options: Options = {}): LoadSignals => {
  const { maxAge = defaults.maxAge, maxFall = defaults.maxFall } = options
  if (!(maxFall > 0)) throw new RangeError(`LoadSignals.make: maxFall must be a number > 0, got ${maxFall}`)
  if (!(maxAge >= 0)) throw new RangeError(`LoadSignals.make: maxAge must be milliseconds >= 0, got ${maxAge}`)
  signals.forEach(check)
  const twice = signals.find(({ name }, i) => signals.findIndex((other) => other.name === name) < i)
  if (twice !== undefined) throw new RangeError(`LoadSignals.make: two signals are named ${JSON.stringify(twice.name)}`)
  return new LoadSignals(signals, maxFall, maxAge)
}

/**
 * The utilization of the event loop since the last sample, from 0 to 1, as `eventLoopUtilization`: from 0.9 to 1, ceiling 0.5.
 *
 * **Details**
 *
 * A loop that is always busy may be one that does exactly what it can: only delays tell that from ten times too much. So this
 * signal alone refuses sheddable requests, to keep room for the others, and no normal one. (`under-pressure` refuses everything at
 * 0.98 in its example, and then gives away what the last part of a server's capacity could do.)
 *
 * **Gotchas**
 *
 * `sample` must measure the time since its last call, or a window not longer than the time between two updates, as an
 * `EventLoop.makeSampler` with its shortest one does. A longer window is late by itself, and goes on refusing after the recovery; an
 * average since the start of the process, as that of `under-pressure` was, hardly moves after some hours.
 *
 * @category constructors
 * @since 0.1.0
 */
export const eventLoopUtilization = (sample: () => number, thresholds: Partial<Thresholds> = {}): Signal => ({
  name: "eventLoopUtilization",
  sample,
  start: 0.9,
  full: 1,
  ceiling: 0.5,
  ...thresholds
})

/**
 * How late the event loop is, the 99th percentile in milliseconds since the last sample, as `eventLoopDelay`: from 100 to 400.
 *
 * **Details**
 *
 * A loop that is 100 ms late has handlers that belong on a worker thread, and each request pays this before it is read. At
 * 250 ms, where normal requests begin to be refused, four such waits are the whole patience of a client that waits for a second.
 * (The example of `under-pressure` refuses at a mean of 1000 ms, which is later than most clients wait.)
 *
 * As with `eventLoopUtilization`, the window of `sample` must not be longer than the time between two updates.
 *
 * @category constructors
 * @since 0.1.0
 */
export const eventLoopDelay = (sample: () => number, thresholds: Partial<Thresholds> = {}): Signal => ({
  name: "eventLoopDelay",
  sample,
  start: 100,
  full: 400,
  ...thresholds
})

const usedHeap = (): number => {
  const { heap_size_limit, used_heap_size } = getHeapStatistics()
  return used_heap_size / heap_size_limit
}

/**
 * The part of V8's heap limit that is in use, from 0 to 1, as `heap`: from 0.85 to 0.95, released at 0.8, smoothed over a second. It is
 * that of the thread that samples it.
 *
 * **Details**
 *
 * Envoy's examples act between 0.85 and 0.95 of the heap, too. Near its limit V8 collects ever more often and then ends the process.
 * Garbage counts as used until it is collected, so the value is a sawtooth: hence the longer average and the lower release.
 *
 * **Gotchas**
 *
 * V8's limit is that of both generations, and on Node 24 the young one has 192 MiB of it: with `--max-old-space-size=512` the limit is
 * 704 MiB, and the process ends at about 0.73 of it. Below 2 GiB give lower thresholds, or `--max-semi-space-size=16`, which makes the young
 * generation 48 MiB.
 *
 * @category constructors
 * @since 0.1.0
 */
export const heap = (thresholds: Partial<Thresholds> = {}): Signal => ({
  name: "heap",
  sample: usedHeap,
  start: 0.85,
  full: 0.95,
  release: 0.8,
  smoothing: 1000,
  ...thresholds
})

/**
 * How long the work that starts now has waited in a queue, in milliseconds, as `queueDelay`: from 10 to 100, smoothed over 100 ms.
 *
 * **Details**
 *
 * `CoDel` calls a queue overloaded that was never under 5 ms for 100 ms, and sheds from it what waited for 10 ms. This signal begins
 * there, and keeps sheddable requests from joining a queue in which normal ones wait for more than 55 ms, half-way to `full`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const queueDelay = (
  sample: () => number,
  options: Partial<Thresholds> & { readonly name?: string | undefined } = {}
): Signal => ({
  sample,
  start: 10,
  full: 100,
  smoothing: 100,
  ...options,
  name: options.name ?? "queueDelay"
})

/**
 * How near something bounded is to refusing, from 0 to 1, under the name given: `Offload.saturation` of a pool, `saturation` of a
 * `Bulkhead`, or how full a queue of your own is. From 0.5 to 1.
 *
 * **Gotchas**
 *
 * What is full refuses by itself, whoever comes; this signal leaves its second half to those who matter more. It refuses requests that would not have used the pool, too. Where only some routes do, a ceiling of 0.5 refuses sheddable ones alone, and
 * the pool's own refusals are left to deal with the others.
 *
 * **Example** (A pool of threads)
 *
 * ```ts
 * const images = yield* ImageOffload
 * const signal = LoadSignals.saturation("images", () => Effect.runSync(Offload.saturation(images)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const saturation = (name: string, sample: () => number, thresholds: Partial<Thresholds> = {}): Signal => ({
  name,
  sample,
  start: 0.5,
  full: 1,
  ...thresholds
})
