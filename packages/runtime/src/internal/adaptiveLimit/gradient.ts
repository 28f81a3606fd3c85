import type { Algorithm, Window } from "../../AdaptiveLimit.ts"
import type { GradientOptions } from "../../AdaptiveLimitOptions.ts"
import { check, checkCount, checkFactor, isIdle, range } from "./bounds.ts"
import { nextSeed, randomOf } from "./random.ts"

export interface State {
  /** With its fraction; the limit but for the time of a measurement. */
  readonly limit: number
  /** The latency without a queue. */
  readonly least: number
  /** Requests measured up to now, or -1 when none is measured. */
  readonly measured: number
  /** The weighted sum of their medians. */
  readonly sum: number
  readonly measureAt: number
  /** Windows in a row at the lowest limit. */
  readonly atLowest: number
  readonly seed: number
}

/** After so many windows at the lowest limit the least latency is not to be believed any more. */
const tooManyAtLowest = 5

const checkAll = ({ buffer, jitter, measureEvery, measureLimit, measureSamples, seed }: Required<GradientOptions>) => {
  check(buffer! >= 0 && buffer! < Infinity, "gradient: buffer", "a finite number >= 0", buffer)
  check(jitter! >= 0 && jitter! <= 1, "gradient: jitter", "a number in 0..1", jitter)
  check(measureEvery! > 0, "gradient: measureEvery", "a number of milliseconds > 0", measureEvery)
  checkCount("gradient: measureSamples", measureSamples!)
  checkCount("gradient: measureLimit", measureLimit!)
  check(Number.isInteger(seed), "gradient: seed", "an integer", seed)
}

export const make = (options: GradientOptions): Algorithm<State> => {
  const { backoff = 0.9, buffer = 0.25, jitter = 0.15, seed = 1 } = options
  const { measureEvery = 60_000, measureLimit = 3, measureSamples = 50 } = options
  const { clamp, initial, max, min } = range("gradient", options)
  checkFactor("gradient: backoff", backoff)
  checkAll({ backoff, buffer, jitter, seed, measureEvery, measureLimit, measureSamples, initial, max, min })

  /** Adds a window to the measurement, and ends it when it has enough. */
  const measure = (state: State, { endedAt, medianLatency, samples }: Window): State => {
    const measured = state.measured + samples
    const sum = state.sum + medianLatency * samples
    if (measured < measureSamples) return { ...state, measured, sum }
    const measureAt = endedAt + measureEvery * (1 + jitter * randomOf(state.seed))
    return { ...state, least: sum / measured, measured: -1, measureAt, atLowest: 0, seed: nextSeed(state.seed) }
  }

  const adjust = (state: State, { maxInFlight, medianLatency }: Window): State => {
    const ratio = Math.min(Math.max((state.least * (1 + buffer)) / medianLatency, 0.5), 2)
    const target = clamp(state.limit * ratio + Math.sqrt(state.limit))
    const limit = target > state.limit && isIdle(state.limit, maxInFlight) ? state.limit : target
    const atLowest = Math.floor(limit) <= min ? state.atLowest + 1 : 0
    return { ...state, limit, atLowest }
  }

  const step = (state: State, window: Window): State => {
    if (window.dropped > 0) {
      const limit = clamp(state.limit * backoff)
      return { ...state, limit, atLowest: Math.floor(limit) <= min ? state.atLowest + 1 : 0 }
    }
    if (state.measured >= 0) return measure(state, window)
    const due = window.endedAt >= state.measureAt || state.atLowest >= tooManyAtLowest
    return due ? { ...state, measured: 0, sum: 0 } : adjust(state, window)
  }

  return {
    initial: { limit: initial, least: 0, measured: 0, sum: 0, measureAt: 0, atLowest: 0, seed },
    step,
    limit: ({ limit, measured }) => Math.floor(measured >= 0 ? Math.min(limit, clamp(measureLimit)) : limit)
  }
}
