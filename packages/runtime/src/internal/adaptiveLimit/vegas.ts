import type { Algorithm, Window } from "../../AdaptiveLimit.ts"
import type { VegasOptions } from "../../AdaptiveLimitOptions.ts"
import { check, isIdle, range } from "./bounds.ts"
import { nextSeed, randomOf } from "./random.ts"

export interface State {
  /** The limit, but for the time of a probe. */
  readonly limit: number
  /** The mean latency of a window without a queue, 0 before the first. */
  readonly least: number
  /** How the present window is used: as any, to empty the queue, or to measure without one. */
  readonly phase: "normal" | "empty" | "measure"
  readonly windowsToProbe: number
  readonly seed: number
}

export const make = (options: VegasOptions): Algorithm<State> => {
  const { probeEvery = 30, seed = 1 } = options
  const { clamp, initial } = range("vegas", options)
  check(probeEvery >= 1, "vegas: probeEvery", "a number >= 1", probeEvery)
  check(Number.isInteger(seed), "vegas: seed", "an integer", seed)

  const untilProbe = (limit: number, at: number) => (0.5 + randomOf(at) / 2) * probeEvery * limit
  const probing = (limit: number) => clamp(Math.max(1, Math.floor(limit / 2)))

  const grown = (limit: number, queue: number) => {
    const unit = Math.max(1, Math.floor(Math.log10(limit)))
    if (queue <= unit) return limit + 6 * unit
    if (queue < 3 * unit) return limit + unit
    return queue > 6 * unit ? limit - unit : limit
  }

  const afterDrop = (state: State): State => {
    const unit = Math.max(1, Math.floor(Math.log10(state.limit)))
    return { ...state, phase: "normal", limit: clamp(state.limit - unit) }
  }

  const adjust = (state: State, { maxInFlight, meanLatency }: Window): State => {
    const { least, limit } = state
    if (least === 0 || meanLatency < least) return { ...state, least: meanLatency }
    if (isIdle(limit, maxInFlight)) return state
    const queue = Math.ceil(limit * (1 - least / meanLatency))
    return { ...state, limit: clamp(grown(limit, queue)) }
  }

  const step = (state: State, window: Window): State => {
    if (window.dropped > 0) return afterDrop(state)
    if (state.phase === "empty") return { ...state, phase: "measure" }
    if (state.phase === "measure") return { ...state, phase: "normal", least: window.meanLatency }
    if (state.windowsToProbe > 1) return adjust({ ...state, windowsToProbe: state.windowsToProbe - 1 }, window)
    const at = nextSeed(state.seed)
    return { ...state, phase: "empty", seed: at, windowsToProbe: untilProbe(state.limit, at) }
  }

  return {
    initial: { limit: initial, least: 0, phase: "normal", windowsToProbe: untilProbe(initial, seed), seed },
    step,
    limit: ({ limit, phase }) => (phase === "normal" ? limit : probing(limit))
  }
}
