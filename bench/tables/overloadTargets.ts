/** What the server is meant to keep under overload, and whether it did. */
import { latencyOf, peakOf, stepsAt } from "../overload/report.ts"
import type { Scenarios } from "../overload/report.ts"
import type { Step, StepsReport } from "../overload/scenarios/steps.ts"
import { median, number, table } from "../support/markdown.ts"
import { spread } from "../support/statistics.ts"
import type { Spread } from "../support/statistics.ts"

type Line = readonly [target: string, measured: string, met: boolean]

/** A server that answers next to nothing has a fine p99: it counts only where the useful answers of the same step are enough. */
const quick = (p99: number, most: number, enough: boolean): boolean => enough && p99 < most

const percent = (share: Spread) => median(share, (value) => number(100 * value, 1), " %")
const millis = (value: Spread) => median(value, (value) => number(value, 1), " ms").replaceAll(/∞( ms)?/g, "never")

/** Ours, as the documentation recommends it for the case. */
const judged = <A extends { readonly isJudged: boolean }>(report: { readonly results: ReadonlyArray<A> } | undefined) =>
  report?.results.find(({ isJudged }) => isJudged)

const acceptedP99 = (steps: ReadonlyArray<Step>) => spread(steps.map(({ main }) => latencyOf(main, "p99")))

const onLoopLines = (who: string, report: StepsReport | undefined): ReadonlyArray<Line> => {
  const ours = judged(report)
  if (report === undefined || ours === undefined) return []
  const peak = peakOf(ours, report)
  const overloads = [2, 5, 10].filter((multiple) => report.plan.multiples.includes(multiple))
  return overloads.flatMap((multiple) => {
    const steps = stepsAt(ours, multiple)
    const [share, p99] = [spread(steps.map(({ main }) => main!.goodput / peak)), acceptedP99(steps)]
    const least = multiple === 10 ? 0.9 : 0.95
    const enough = share.median >= least
    const what = `${ours.name}, ${who}, ${multiple} times capacity`
    return [
      [`${what}: at least ${100 * least} % of its peak`, percent(share), enough],
      [`${what}: p99 of accepted requests under 60 ms`, millis(p99), quick(p99.median, 60, enough)]
    ] satisfies ReadonlyArray<Line>
  })
}

const offloadedLines = ({ offloaded }: Scenarios): ReadonlyArray<Line> => {
  const ours = judged(offloaded)
  if (offloaded === undefined || ours === undefined) return []
  const [steps, piscina] = [stepsAt(ours, 5), offloaded.results.find(({ server }) => server === "piscina")]
  const [share, p99] = [spread(steps.map(({ main }) => main!.goodput / peakOf(ours, offloaded))), acceptedP99(steps)]
  const fastP99 = (of: ReadonlyArray<Step>) => spread(of.map(({ beside }) => latencyOf(beside, "p99")))
  const fast = fastP99(steps)
  const enough = share.median >= 0.95
  const pool = `${ours.name}, pool 5 times oversubscribed`
  const lines: Array<Line> = [
    [`${pool}: at least 95 % of its maximum`, percent(share), enough],
    [`${pool}: p99 of accepted under 10 tasks, 200 ms`, millis(p99), quick(p99.median, 200, enough)]
  ]
  if (piscina === undefined) return lines
  const theirs = fastP99(stepsAt(piscina, 5))
  const what = `${pool}: p99 of \`/fast\` beside it no worse than beside Piscina`
  return [...lines, [what, `${millis(fast)}; Piscina: ${millis(theirs)}`, enough && fast.median <= theirs.median]]
}

const recoveryLines = ({ recovery }: Scenarios): ReadonlyArray<Line> => {
  const ours = judged(recovery)
  if (ours === undefined) return []
  const times = spread(ours.rounds.map(({ wholeAfter }) => wholeAfter ?? Infinity))
  const what = `${ours.name}: goodput whole within 1 s after 10 times capacity`
  return [[what, millis(times), times.median <= 1000]]
}

const fairnessLines = ({ fairness }: Scenarios): ReadonlyArray<Line> =>
  (fairness?.results ?? [])
    .filter(({ isJudged }) => isJudged)
    .map(({ name, rounds }) => {
      const success = spread(rounds.map(({ criticalSuccess }) => criticalSuccess))
      const exact = median(success, (value) => number(100 * value, 2), " %")
      return [
        `${name}: critical requests beside 5 times capacity, at least 99.5 % answered`,
        exact,
        success.median >= 0.995
      ]
    })

const sheddingLines = ({ shedding }: Scenarios): ReadonlyArray<Line> => {
  const ours = judged(shedding)
  if (ours === undefined) return []
  const exact = median(ours.ratio, (value) => number(value, 2))
  return [[`${ours.name}: CPU of a refusal at most 0.7 of an accepted hello world`, exact, ours.ratio.median <= 0.7]]
}

/** `undefined` if nothing was measured that has a target. */
export const targetsTable = (scenarios: Scenarios): string | undefined => {
  const parts = [offloadedLines, recoveryLines, fairnessLines, sheddingLines]
  const lines = [
    ...onLoopLines("kept connections", scenarios.cpu),
    ...onLoopLines("own connections", scenarios.strangers),
    ...parts.flatMap((part) => part(scenarios))
  ]
  if (lines.length === 0) return undefined
  const rows = lines.map(([target, measured, met]) => [target, measured, met ? "met" : "**missed**"])
  return (
    `${table(["target", "measured", ""], rows)}\n\n` +
    "Targets are for the settings that the documentation recommends: the defaults, and `codel: {}` for a pool behind a server. A latency counts as " +
    "met only where the useful answers of the same step are enough: a server that answers nothing has a fine p99."
  )
}
