/** What the comparisons are, how they are measured, and what `bench/results/compare.json` holds. */
import type { Machine } from "../support/machine.ts"
import type { Connections, ConnectionsPlan } from "./parts/connections.ts"
import type { Hundred, HundredPlan } from "./parts/hundred.ts"
import type { Ingest, IngestPlan } from "./parts/metricstream.ts"
import type { Slowloris, SlowlorisPlan } from "./parts/slowloris.ts"
import type { Throughput, ThroughputPlan } from "./parts/throughput.ts"
import type { Timeline, TimelinePlan } from "./parts/timeline.ts"
import type { Waiting, WaitingPlan } from "./parts/waiting.ts"

export type Mode = "quick" | "full"

export type PartId = "1" | "2" | "3" | "4" | "5" | "6" | "7"

/** One measurement of one server, which was started for it. */
export interface Measurement<S> {
  /** Who was measured, as the tables name it. */
  readonly entrant: string
  /** From 0. */
  readonly round: number
  /** Of the CPU time of the machine while it was measured; `null` where the system does not say. */
  readonly stealPercent: number | null
  /** About how many cores other programs of the machine used meanwhile. */
  readonly otherCores: number
  /** How often it was made: again when it was disturbed, by the host or by other programs. The least disturbed one is here. */
  readonly tries: number
  readonly sample: S
}

/** A measurement that could not be made. */
export interface Failure {
  readonly entrant: string
  readonly round: number
  readonly message: string
}

/** A comparison that was measured. */
export interface Part<P, S> {
  /** When it ended, as an ISO date. */
  readonly measuredAt: string
  /** Of the code, as `version` says it. */
  readonly version?: string | undefined
  readonly mode: Mode
  readonly rounds: number
  readonly machine: Machine
  /** How long it took. */
  readonly seconds: number
  /** Sizes and times that were asked for. */
  readonly plan: P
  readonly measurements: ReadonlyArray<Measurement<S>>
  readonly failures: ReadonlyArray<Failure>
}

export interface Parts {
  readonly "1": Part<ThroughputPlan, Throughput>
  readonly "2": Part<WaitingPlan, Waiting>
  readonly "3": Part<TimelinePlan, Timeline>
  readonly "4": Part<ConnectionsPlan, Connections>
  readonly "5": Part<HundredPlan, Hundred>
  readonly "6": Part<SlowlorisPlan, Slowloris>
  readonly "7": Part<IngestPlan, Ingest>
}

/** Those that were ever measured; each has its own date. */
export type Results = { readonly [K in PartId]?: Parts[K] }

/** One entrant of a comparison: every round measures it once. */
export interface Step<S> {
  readonly entrant: string
  /** About how long it takes, for the display. */
  readonly seconds: number
  /** It is left out of further rounds. All of them by default. */
  readonly rounds?: number
  readonly measure: () => Promise<S>
}

export interface Comparison<P, S> {
  readonly id: PartId
  readonly title: string
  readonly rounds: number
  readonly plan: P
  readonly steps: ReadonlyArray<Step<S>>
}

/** The samples of one entrant in the order of the rounds. */
export const samplesOf = <S>(part: Part<unknown, S>, entrant: string): ReadonlyArray<S> =>
  part.measurements.filter((measurement) => measurement.entrant === entrant).map(({ sample }) => sample)

/** The entrants in the order in which they were first measured, which is that of the plan. */
export const entrantsOf = (part: Part<unknown, unknown>): ReadonlyArray<string> => [
  ...new Set(part.measurements.map(({ entrant }) => entrant))
]

/** Cores that other programs used while an entrant was measured, at worst. */
export const othersBeside = (part: Part<unknown, unknown>, entrant: string): number =>
  Math.max(0, ...part.measurements.filter((each) => each.entrant === entrant).map(({ otherCores }) => otherCores))
