/** Measures comparisons: rounds, the order of the servers in them, and what is measured again. */
import { setTimeout as delay } from "node:timers/promises"
import { machine, watchSteal } from "../support/machine.ts"
import { version } from "../support/version.ts"
import type { Comparison, Failure, Measurement, Mode, Part, Step } from "./contract.ts"
import { disturbanceOf, disturbanceText } from "./disturbance.ts"
import type { Disturbance } from "./disturbance.ts"
import { watchOthers } from "./proc.ts"
import type { Progress, Work } from "./progress.ts"
import { maxTries, retryShare, settleSeconds } from "./settings.ts"

/** Each round measures every server once, in turning order: what changes on the machine in between meets all of them alike. */
const order = <S>({ rounds, steps }: Comparison<unknown, S>): ReadonlyArray<readonly [round: number, step: Step<S>]> =>
  Array.from({ length: rounds }, (_, round) => {
    const left = steps.filter((step) => round < (step.rounds ?? rounds))
    return left.map((_, i) => [round, left[(round + i) % left.length]!] as const)
  }).flat()

const workOf = ({ id, rounds, title }: Comparison<unknown, unknown>, round: number, step: Step<unknown>): Work => ({
  name: `${id} ${title}, ${step.entrant}${rounds > 1 ? `, round ${round + 1}` : ""}`,
  seconds: step.seconds
})

export const workOfAll = (comparisons: ReadonlyArray<Comparison<unknown, unknown>>): ReadonlyArray<Work> =>
  comparisons.flatMap((comparison) => order(comparison).map(([round, step]) => workOf(comparison, round, step)))

/** Seconds that are left for further tries, of all comparisons together. */
export interface Retries {
  seconds: number
}

export const retriesFor = (all: ReadonlyArray<Work>): Retries => ({
  seconds: retryShare * all.reduce((sum, { seconds }) => sum + seconds, 0)
})

/** How the machine is watched. */
export interface Watcher {
  /** Begins to watch; the result says what was there since. */
  readonly watch: () => () => Disturbance
  /** Waits until the machine is quiet, so that a further try is not made in the same disturbance; but not for long. */
  readonly settle: () => Promise<void>
}

const watch = (): (() => Disturbance) => {
  const [steal, others] = [watchSteal(), watchOthers()]
  return () => ({ stealPercent: steal() ?? null, otherCores: others() })
}

const settle = async (): Promise<void> => {
  for (let second = 0; second < settleSeconds; second++) {
    const look = watch()
    await delay(1000)
    if (disturbanceOf(look()) <= 1) return
  }
}

/** Makes it again when it was disturbed. If it is each time, the least disturbed one counts, and the text says so. */
export const measure = async <S>(
  step: Step<S>,
  round: number,
  retries: Retries,
  watcher: Watcher = { watch, settle }
): Promise<Measurement<S>> => {
  let best: Measurement<S> | undefined
  let since = performance.now()
  for (let tries = 1; ; tries++) {
    const look = watcher.watch()
    const sample = await step.measure()
    const disturbance = look()
    const now = performance.now()
    if (tries > 1) retries.seconds -= (now - since) / 1000
    since = now
    if (best === undefined || disturbanceOf(disturbance) < disturbanceOf(best)) {
      best = { entrant: step.entrant, round, ...disturbance, tries, sample }
    }
    if (disturbanceOf(best) <= 1 || tries === maxTries || retries.seconds < step.seconds) return { ...best, tries }
    await watcher.settle()
  }
}

/** A line for what is worth knowing while it runs. */
const remark = (measurement: Measurement<unknown>): string | undefined => {
  const { tries } = measurement
  const often = tries > 1 ? `measured ${tries} times, ` : ""
  if (disturbanceOf(measurement) > 1) return `${often}disturbed: ${disturbanceText(measurement)}`
  return tries > 1 ? `${often}the last time undisturbed` : undefined
}

/** A measurement that cannot be made is reported in the end: the others are not lost for it. */
export const runComparison = async <P, S>(
  comparison: Comparison<P, S>,
  mode: Mode,
  progress: Progress,
  retries: Retries
): Promise<Part<P, S>> => {
  const [code, since] = [version(), performance.now()]
  const [measurements, failures]: [Array<Measurement<S>>, Array<Failure>] = [[], []]
  for (const [round, step] of order(comparison)) {
    const work = workOf(comparison, round, step)
    progress.begin(work)
    try {
      const measurement = await measure(step, round, retries)
      measurements.push(measurement)
      progress.end(work, remark(measurement))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      failures.push({ entrant: step.entrant, round, message })
      progress.end(work, `FAILED: ${message}`)
    }
  }
  const { plan, rounds } = comparison
  const seconds = Math.round((performance.now() - since) / 1000)
  return {
    measuredAt: new Date().toISOString(),
    version: code,
    mode,
    rounds,
    machine: machine(),
    seconds,
    plan,
    measurements,
    failures
  }
}
