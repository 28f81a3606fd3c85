/** Measures comparisons: rounds, the order of the servers in them, and what is measured again. */
import { machine, watchSteal } from "../support/machine.ts"
import type { Comparison, Failure, Measurement, Mode, Part, Step } from "./contract.ts"
import { watchOthers } from "./proc.ts"
import type { Progress, Work } from "./progress.ts"
import { maxOtherCores, maxStealPercent, maxTries } from "./settings.ts"

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

/** Again when the host took too much of the CPU time meanwhile; the last try counts in any case, and says so. */
const measure = async <S>(step: Step<S>, round: number): Promise<Measurement<S>> => {
  for (let tries = 1; ; tries++) {
    const [steal, others] = [watchSteal(), watchOthers()]
    const sample = await step.measure()
    const stealPercent = steal() ?? null
    if ((stealPercent ?? 0) <= maxStealPercent || tries === maxTries) {
      return { entrant: step.entrant, round, stealPercent, otherCores: others(), tries, sample }
    }
  }
}

/** A line for what is worth knowing while it runs. */
const remark = <S>({ otherCores, stealPercent, tries }: Measurement<S>): string | undefined => {
  const remarks = [
    ...(tries > 1 ? [`measured ${tries} times, ${stealPercent} % stolen the last time`] : []),
    ...(otherCores > maxOtherCores ? [`other programs used ${otherCores} cores`] : [])
  ]
  return remarks.length === 0 ? undefined : remarks.join(", ")
}

/** A measurement that cannot be made is reported in the end: the others are not lost for it. */
export const runComparison = async <P, S>(
  comparison: Comparison<P, S>,
  mode: Mode,
  progress: Progress
): Promise<Part<P, S>> => {
  const since = performance.now()
  const [measurements, failures]: [Array<Measurement<S>>, Array<Failure>] = [[], []]
  for (const [round, step] of order(comparison)) {
    const work = workOf(comparison, round, step)
    progress.begin(work)
    try {
      const measurement = await measure(step, round)
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
    mode,
    rounds,
    machine: machine(),
    seconds,
    plan,
    measurements,
    failures
  }
}
