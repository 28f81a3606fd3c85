import type { Algorithm, Window } from "../../AdaptiveLimit.ts"
import type { Gradient2Options } from "../../AdaptiveLimitOptions.ts"
import { check, checkCount, checkFactor, isIdle, range } from "./bounds.ts"

export interface State {
  /** With its fraction, which the smoothing needs. */
  readonly limit: number
  /** The long-term mean latency. */
  readonly long: number
  /** Windows that it was made of, up to `warmup`. */
  readonly seen: number
}

/** Windows whose plain mean starts the long-term mean. */
const warmup = 10

export const make = (options: Gradient2Options): Algorithm<State> => {
  const { backoff = 0.9, longWindow = 600, queueSize = 4, smoothing = 0.2, tolerance = 1.5 } = options
  const { clamp, initial } = range("gradient2", options)
  checkFactor("gradient2: backoff", backoff)
  checkCount("gradient2: longWindow", longWindow, 10)
  check(queueSize >= 1 && queueSize < Infinity, "gradient2: queueSize", "a finite number >= 1", queueSize)
  check(smoothing > 0 && smoothing <= 1, "gradient2: smoothing", "a number > 0 and <= 1", smoothing)
  check(tolerance >= 1 && tolerance < Infinity, "gradient2: tolerance", "a finite number >= 1", tolerance)

  const learned = (state: State, short: number): State => {
    if (state.seen < warmup) {
      const seen = state.seen + 1
      return { ...state, seen, long: state.long + (short - state.long) / seen }
    }
    const long = state.long + (short - state.long) * (2 / (longWindow + 1))
    return { ...state, long: long / short > 2 ? long * 0.95 : long }
  }

  return {
    initial: { limit: initial, long: 0, seen: 0 },
    step: (before: State, { dropped, maxInFlight, meanLatency }: Window) => {
      if (dropped > 0) return { ...before, limit: clamp(before.limit * backoff) }
      const state = learned(before, meanLatency)
      if (isIdle(state.limit, maxInFlight)) return state
      const gradient = Math.min(Math.max((tolerance * state.long) / meanLatency, 0.5), 1)
      const target = state.limit * gradient + queueSize
      return { ...state, limit: clamp(state.limit * (1 - smoothing) + target * smoothing) }
    },
    limit: (state) => Math.floor(state.limit)
  }
}
