/** The results of all scenarios: their file and their chart, and what is read from their samples. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { barChart } from "../support/barChart.ts"
import type { Machine } from "../support/machine.ts"
import { spread } from "../support/statistics.ts"
import type { Spread } from "../support/statistics.ts"
import type { CrowdReport } from "./scenarios/crowd.ts"
import type { FairnessReport } from "./scenarios/fairness.ts"
import type { RecoveryReport } from "./scenarios/recovery.ts"
import type { SheddingReport } from "./scenarios/shedding.ts"
import type { Step, StepsReport } from "./scenarios/steps.ts"
import { maxStealPercent } from "./steal.ts"
import type { StreamReport } from "./streams.ts"

export interface Scenarios {
  readonly cpu?: StepsReport
  readonly strangers?: StepsReport
  readonly rendering?: StepsReport
  readonly offloaded?: StepsReport
  readonly sleep?: StepsReport
  readonly unbounded?: StepsReport
  readonly crowd?: CrowdReport
  readonly recovery?: RecoveryReport
  readonly fairness?: FairnessReport
  readonly shedding?: SheddingReport
}

export interface OverloadReport {
  readonly scenario: "overload"
  readonly machine: Machine
  readonly scenarios: Scenarios
}

type Result = StepsReport["results"][number]

/** The steps at one multiple, one of each round. */
export const stepsAt = ({ rounds }: Result, multiple: number): ReadonlyArray<Step> =>
  rounds.flatMap(({ steps }) => steps.filter((step) => step.multiple === multiple))

/** Of accepted requests, in milliseconds; `Infinity` where none was. */
export const latencyOf = (stream: StreamReport | undefined, which: "p50" | "p99"): number =>
  stream?.latencyMillis?.[which] ?? Infinity

export const goodputAt = (result: Result, multiple: number): Spread =>
  spread(stepsAt(result, multiple).map(({ main }) => main?.goodput ?? 0))

/**
 * The most that a server carried: its capacity, or its goodput at one of the steps; the highest of the medians of the rounds, since the
 * highest of all single measurements would be the luckiest.
 */
export const peakOf = (result: Result, { plan }: StepsReport): number =>
  Math.max(
    spread(result.rounds.map(({ capacity }) => capacity)).median,
    ...plan.multiples.map((multiple) => goodputAt(result, multiple).median)
  )

export const bestPeak = (report: StepsReport): number =>
  Math.max(...report.results.map((result) => peakOf(result, report)))

const chart = (report: StepsReport): string => {
  const best = bestPeak(report)
  return barChart({
    title: "Useful answers under overload, 5 ms of CPU a request, clients wait 1 s",
    y: "share of the best peak",
    series: report.results.map(({ name }) => name),
    groups: report.plan.multiples.map((multiple) => ({
      name: `${multiple} times capacity`,
      values: report.results.map((result) => goodputAt(result, multiple).median / best)
    })),
    reference: 1,
    most: 1.2
  })
}

const folder = new URL("../results/", import.meta.url)
const file = new URL("overload.json", folder)

/** Whether so much CPU time was stolen while it was measured that it says nothing. */
const isDisturbed = ({ stealPercent }: { readonly stealPercent: number | undefined }): boolean =>
  (stealPercent ?? 0) > maxStealPercent

/** What was not measured this time stays as it was, and so does what was disturbed. Returns the names of the latter. */
export const writeReport = (machine: Machine, all: Scenarios): ReadonlyArray<string> => {
  const entries = Object.entries(all) as ReadonlyArray<[string, { readonly stealPercent: number | undefined }]>
  const [disturbed, good] = [true, false].map((bad) => entries.filter(([, report]) => isDisturbed(report) === bad))
  if (good!.length > 0) write(machine, Object.fromEntries(good!) as Scenarios)
  return disturbed!.map(([name]) => name)
}

const write = (machine: Machine, measured: Scenarios): void => {
  mkdirSync(folder, { recursive: true })
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as OverloadReport).scenarios : {}
  const report: OverloadReport = { scenario: "overload", machine, scenarios: { ...before, ...measured } }
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
  if (report.scenarios.cpu !== undefined) writeFileSync(new URL("overload.svg", folder), chart(report.scenarios.cpu))
}
