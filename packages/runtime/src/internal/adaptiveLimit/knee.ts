import type { Algorithm, Window } from "../../AdaptiveLimit.ts"
import type { KneeOptions } from "../../AdaptiveLimitOptions.ts"
import { check, checkCount, defaultMax, range } from "./bounds.ts"

export interface State {
  /** The limit in force: `base`, or the one that is tried. */
  readonly limit: number
  /** The limit to go back to if the one that is tried is not better. */
  readonly base: number
  /** Successes in a millisecond at `base`, 0 while it is not known. */
  readonly rate: number
  /** The median latency at `base`. */
  readonly latency: number
  readonly trying: boolean
  /** Which limit is tried next: a higher or a lower one. */
  readonly direction: 1 | -1
  /** The growth of the next limit: 0.25 makes it a quarter higher, or lower by one fifth, which is the same the other way. */
  readonly stride: number
  /** Until then requests of the former limit still end. */
  readonly settledAt: number
  /** The measurement under way. */
  readonly samples: number
  readonly dropped: number
  readonly elapsed: number
  /** The sum of the medians, each times the successes of its window. */
  readonly medians: number
  /** Attempts in a row that were not better. */
  readonly failures: number
  /** Measurements to make before the next attempt. */
  readonly rest: number
  /** The share of drops for which the limit was lowered, until it is seen what came of it; 0 otherwise. */
  readonly dropsBefore: number
  /** Up to where the limit is doubled when requests succeed again; 0 when it was not lowered, or is there. */
  readonly recoverTo: number
  /** The share of drops that lowering the limit did not help against. */
  readonly background: number
}

/** The parameters, checked. */
interface Rule {
  readonly gain: number
  readonly tolerance: number
  readonly measureSamples: number
  readonly maxSettle: number
  readonly max: number
  readonly clamp: (limit: number) => number
}

const leastStride = 0.25
const mostStride = 1
/** The share of a window in which the limit must have been reached for it to say something about the limit. */
const fullEnough = 0.7
/** How much longer than a permit is held on average a limit takes to show its effects. */
const settleFactor = 1.25
/** The same for latencies alone, in medians: it is about as long where all requests are alike. */
const mediansToSettle = 4
const leastElapsed = 100
/** A low limit is measured with few requests, since its steps are long: it would take for ever otherwise. */
const samplesPerPermit = 8
const fewestSamples = 16
/** Attempts get rarer up to one in 2 ** 4 measurements. */
const mostFailures = 4
/** The median latency grows with the limit by less than this share where requests do not wait for one another, */
const noWait = 0.15
/** and by more than this share where they do. */
const someWait = 0.3
/** The throughput changed when it is off by this ratio: then the knee may have moved. */
const changed = 1.25
/** So many drops are no chance. */
const enoughDrops = 5
const mostly = 0.5
/** CUBIC's, for the drops of some (RFC 9438). */
const lowered = 0.7
/** Drops that lowering the limit did not bring below this share of what they were have another cause. */
const helped = 0.8
const backgroundMargin = 1.25
const backgroundDecay = 0.9

const fresh = { samples: 0, dropped: 0, elapsed: 0, medians: 0 }

const settled = ({ maxSettle }: Rule, { endedAt, heldLatency }: Window) =>
  endedAt + Math.min(settleFactor * heldLatency, maxSettle)

const soon = ({ maxSettle }: Rule, { heldLatency, medianLatency }: Window) =>
  Math.min(settleFactor * heldLatency, mediansToSettle * medianLatency, maxSettle)

/** Goes to `limit` for good, and measures it. */
const restart = (rule: Rule, state: State, window: Window, limit: number): State => ({
  ...state,
  ...fresh,
  limit,
  base: limit,
  rate: 0,
  trying: false,
  stride: leastStride,
  settledAt: limit === state.limit ? state.settledAt : settled(rule, window),
  failures: 0,
  rest: 0
})

/** Lowers the limit for a share of drops that may come of it. */
const afterDrops = (rule: Rule, state: State, window: Window, share: number): State => {
  const inUse = Math.min(state.limit, window.maxInFlight)
  const most = share >= mostly
  const wanted = most ? Math.floor(inUse / 2) : Math.max(Math.floor(state.limit * lowered), inUse)
  const limit = rule.clamp(Math.min(wanted, state.limit - 1))
  // Half of what was in use would be a guess; of how many steps it took nothing is learned but that the last of them was enough.
  const doubled = state.recoverTo > 0 && state.dropsBefore === 0
  const recoverTo = doubled ? limit : Math.max(state.recoverTo, most ? Math.floor(inUse / 2) : 0)
  return { ...restart(rule, state, window, limit), dropsBefore: share, direction: -1, recoverTo }
}

/** Doubles the limit after a window without an overload, up to half of what it was when most requests began to fail. */
const recover = (rule: Rule, state: State, window: Window): State => {
  const limit = Math.min(state.limit * 2, state.recoverTo)
  if (limit <= state.limit) return { ...state, recoverTo: 0, dropsBefore: 0 }
  return { ...restart(rule, state, window, limit), dropsBefore: 0, recoverTo: state.recoverTo }
}

/**
 * The limit is not reached: nothing can be said of it. A higher one that is tried stays if more than the former was in use, and a
 * lower one if it would do for twice as many.
 */
const afterSlack = (rule: Rule, state: State, window: Window): State => {
  const usesMore = window.maxInFlight > state.base
  const idle = window.maxInFlight * 2 < state.limit
  const stays = state.limit > state.base ? usesMore : idle
  const limit = stays ? state.limit : state.base
  return { ...restart(rule, state, window, limit), direction: limit === rule.max ? -1 : 1 }
}

const nextLimit = ({ clamp }: Rule, { base, stride }: State, direction: 1 | -1): number =>
  clamp(direction === 1 ? Math.ceil(base * (1 + stride)) : Math.floor(base / (1 + stride)))

/** Tries the next limit, if there is one in either direction. */
const attempt = (rule: Rule, state: State, window: Window): State => {
  const blocked = nextLimit(rule, state, state.direction) === state.base
  const direction = blocked ? (-state.direction as 1 | -1) : state.direction
  const limit = nextLimit(rule, state, direction)
  if (limit === state.base) return { ...state, ...fresh, trying: false }
  // Going up nothing can be lost, and the median tells before those that are slow have come through.
  const settledAt = direction === 1 ? window.endedAt + soon(rule, window) : settled(rule, window)
  return { ...state, ...fresh, trying: true, direction, limit, settledAt }
}

/** What a measurement came to. */
interface Result {
  readonly rate: number
  readonly latency: number
}

const measuredBase = (rule: Rule, state: State, result: Result, window: Window): State => {
  const moved = state.rate > 0 && Math.max(result.rate / state.rate, state.rate / result.rate) > changed
  if (moved) return attempt(rule, { ...state, ...result, failures: 0, rest: 0 }, window)
  if (state.rest === 0) return attempt(rule, { ...state, ...result }, window)
  return { ...state, ...fresh, ...result, rest: state.rest - 1 }
}

/** Whether the limit that was tried is better than `base`. */
const isBetter = ({ gain }: Rule, state: State, { latency, rate }: Result): boolean => {
  const growth = Math.log(state.limit / state.base)
  const throughput = Math.log(rate / state.rate) / growth
  const waiting = Math.log(latency / state.latency) / growth
  if (state.direction === 1) return throughput > gain || waiting < noWait
  return throughput < gain && waiting > someWait
}

const measuredAttempt = (rule: Rule, state: State, result: Result, window: Window): State => {
  if (isBetter(rule, state, result)) {
    const stride = Math.min(state.stride * 2, mostStride)
    return attempt(rule, { ...state, ...result, base: state.limit, stride, failures: 0, rest: 0 }, window)
  }
  const failures = Math.min(state.failures + 1, mostFailures)
  return {
    ...state,
    ...fresh,
    limit: state.base,
    trying: false,
    direction: -state.direction as 1 | -1,
    stride: leastStride,
    settledAt: settled(rule, window),
    failures,
    rest: failures < 2 ? 0 : 2 ** failures
  }
}

/** A whole measurement of the limit in force. */
const measured = (rule: Rule, state: State, share: number, window: Window): State => {
  const succeeded = state.samples - state.dropped
  const result: Result = { rate: succeeded / state.elapsed, latency: state.medians / succeeded }
  const background = Math.max(share * backgroundMargin, state.background * backgroundDecay)
  const known: State = { ...state, dropsBefore: 0, background: state.background === 0 ? 0 : background }
  return state.trying ? measuredAttempt(rule, known, result, window) : measuredBase(rule, known, result, window)
}

const step = (rule: Rule, before: State, window: Window): State => {
  if (window.endedAt - window.duration < before.settledAt) return before
  let state: State = {
    ...before,
    samples: before.samples + window.samples,
    dropped: before.dropped + window.dropped,
    elapsed: before.elapsed + window.duration,
    medians: before.medians + window.medianLatency * (window.samples - window.dropped)
  }
  const ofWindow = window.dropped >= 2 * enoughDrops ? window.dropped / window.samples : 0
  const share = Math.max(ofWindow >= mostly ? ofWindow : 0, state.dropped / state.samples)
  const tooMany = share >= mostly || share > Math.max(rule.tolerance, state.background)
  if (state.dropped >= enoughDrops && tooMany) {
    const inVain = share < mostly && state.dropsBefore < mostly && share > helped * state.dropsBefore
    if (state.dropsBefore === 0 || !inVain) return afterDrops(rule, state, window, share)
    state = { ...state, background: share * backgroundMargin, dropsBefore: 0 }
  }
  if (window.full < fullEnough) return afterSlack(rule, state, window)
  if (state.recoverTo > 0) return recover(rule, state, window)
  const enough = Math.min(rule.measureSamples, Math.max(fewestSamples, state.limit * samplesPerPermit))
  // What sleeps for the same time wakes in the rhythm in which it came: a whole turn, or it is chance what is counted.
  const whole = state.direction === 1 ? 0 : Math.min(window.heldLatency, rule.maxSettle)
  const turn = Math.max(whole, leastElapsed)
  if (state.samples < enough || state.elapsed < turn) return state
  return measured(rule, state, share, window)
}

export const make = (options: KneeOptions): Algorithm<State> => {
  const { gain = 0.25, maxSettle = 10_000, measureSamples = 200, tolerance = 0.05 } = options
  const { clamp, initial, max } = range("knee", options, options.max ?? defaultMax)
  check(gain > 0 && gain < 1, "knee: gain", "a number > 0 and < 1", gain)
  check(tolerance >= 0 && tolerance < mostly, "knee: tolerance", "a number >= 0 and < 0.5", tolerance)
  check(maxSettle >= 0, "knee: maxSettle", "a number of milliseconds >= 0", maxSettle)
  checkCount("knee: measureSamples", measureSamples)
  const rule: Rule = { gain, tolerance, measureSamples, maxSettle, max, clamp }
  return {
    initial: {
      ...fresh,
      limit: initial,
      base: initial,
      rate: 0,
      latency: 0,
      trying: false,
      direction: initial === max ? -1 : 1,
      stride: leastStride,
      settledAt: -Infinity,
      failures: 0,
      rest: 0,
      dropsBefore: 0,
      recoverTo: 0,
      background: 0
    },
    step: (state, window) => step(rule, state, window),
    limit: (state) => state.limit
  }
}
