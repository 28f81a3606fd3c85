/** What the project asks of itself in these comparisons, and whether it is so. */
import { number, rounded } from "../support/markdown.ts"
import { ingestTargets, slowlorisTarget, throughputTarget } from "./claims.ts"
import { samplesOf } from "./contract.ts"
import type { Part, Parts, Results } from "./contract.ts"
import { middle, shown } from "./figures.ts"
import { entrantName } from "./parts/metricstream.ts"
import type { Slowloris } from "./parts/slowloris.ts"

export interface Target {
  readonly target: string
  readonly measured: string
  /** `undefined`: it was not measured. */
  readonly met: boolean | undefined
}

/** Quick mode leaves some entrants out; otherwise it was not possible. */
const unmeasured = ({ failures, mode }: Part<unknown, unknown>, name: string): Pick<Target, "measured" | "met"> => {
  const isLeftOut = mode === "quick" && !failures.some(({ entrant }) => entrant === name)
  return { measured: isLeftOut ? "not measured (full mode)" : "could not be measured", met: undefined }
}

const throughputTargets = (part: Parts["1"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  const rates = samplesOf(part, "event-driven").map(({ perSecond }) => perSecond)
  const { clients, waitMillis } = part.plan
  const ceiling = (1000 * clients) / waitMillis
  const least = middle(rates)
  return [
    {
      target: `1: one event loop, at least ${number(throughputTarget)} of the ${number(ceiling)} answers/s that ${number(clients)} clients allow`,
      ...(least === null
        ? unmeasured(part, "event-driven")
        : { measured: shown(rates, "/s"), met: least >= throughputTarget })
    }
  ]
}

/** How many times its latency with an idle server an honest client waited in the attack. */
export const slowdown = ({ attacked, idle }: Slowloris, of: "p50" | "p99"): number | null =>
  attacked.latencyMillis === null || idle.latencyMillis === null
    ? null
    : attacked.latencyMillis[of] / idle.latencyMillis[of]

/** By the client and by the server. */
const heldOf = ({ accepted, over }: Slowloris): number => Math.min(accepted, over.held)

const heldTarget = (samples: ReadonlyArray<Slowloris>, connections: number) => {
  const held = Math.min(...samples.map(heldOf))
  return { measured: number(held), met: held >= connections }
}

/** The median stands for most clients, the p99 for the one in a hundred that is worst off: each is judged for itself. */
const latencyTarget = (samples: ReadonlyArray<Slowloris>, of: "p50" | "p99") => {
  const unanswered = samples.reduce((sum, { attacked }) => sum + attacked.offered - attacked.answered, 0)
  const times = samples.map((sample) => slowdown(sample, of))
  const lost = unanswered === 0 ? "all answered" : `${number(unanswered)} not answered`
  return {
    measured: `${shown(times)} times, ${lost}`,
    met: unanswered === 0 && (middle(times) ?? Infinity) <= slowlorisTarget
  }
}

const slowlorisTargets = (part: Parts["6"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  const { connections } = part.plan
  return ["event-driven", "hybrid", "2 loops"].flatMap((name) => {
    const samples = samplesOf(part, name)
    const judged = (judge: () => Pick<Target, "measured" | "met">) =>
      samples.length === 0 ? unmeasured(part, name) : judge()
    const honest = `6: ${name}, honest clients answered in at most ${slowlorisTarget} times their idle latency`
    return [
      {
        target: `6: ${name}, all ${number(connections)} slow connections held`,
        ...judged(() => heldTarget(samples, connections))
      },
      { target: `${honest}, median`, ...judged(() => latencyTarget(samples, "p50")) },
      { target: `${honest}, p99`, ...judged(() => latencyTarget(samples, "p99")) }
    ]
  })
}

const ingestTargetsOf = (part: Parts["7"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  return Object.entries(ingestTargets).map(([rate, least]) => {
    const name = entrantName("MetricStream", Number(rate))
    const shares = samplesOf(part, name).map(({ answered, offered }) => (100 * answered) / offered)
    const share = middle(shares)
    return {
      target: `7: MetricStream on the hybrid server, at least ${rounded(least).replace(/\.0$/, "")} % stored and answered at ${number(Number(rate))}/s`,
      ...(share === null
        ? unmeasured(part, name)
        : { measured: shown(shares, " %", (value) => number(value, 2)), met: share >= least })
    }
  })
}

/** Of the comparisons that were made; a target that nothing was measured for says so. */
export const targetsOf = (results: Results): ReadonlyArray<Target> => [
  ...throughputTargets(results["1"]),
  ...slowlorisTargets(results["6"]),
  ...ingestTargetsOf(results["7"])
]
