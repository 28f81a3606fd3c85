/** What the project asks of itself in these comparisons, and whether it is so. */
import { number, rounded } from "../support/markdown.ts"
import { ingestTargets, slowlorisTarget, throughputTarget } from "./claims.ts"
import { entrantsOf, samplesOf } from "./contract.ts"
import type { Parts, Results } from "./contract.ts"
import { middle, shown } from "./figures.ts"
import { entrantName } from "./parts/metricstream.ts"
import type { Slowloris } from "./parts/slowloris.ts"

export interface Target {
  readonly target: string
  readonly measured: string
  readonly met: boolean
}

const throughputTargets = (part: Parts["1"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  const rates = samplesOf(part, "event-driven").map(({ perSecond }) => perSecond)
  const { clients, waitMillis } = part.plan
  const ceiling = (1000 * clients) / waitMillis
  return [
    {
      target: `1: one event loop, at least ${number(throughputTarget)} of the ${number(ceiling)} answers/s that ${number(clients)} clients allow`,
      measured: shown(rates, "/s"),
      met: (middle(rates) ?? 0) >= throughputTarget
    }
  ]
}

/** How many times the median of an idle server an honest client waited in the attack. */
export const slowdown = ({ attacked, idle }: Slowloris): number | null =>
  attacked.latencyMillis === null || idle.latencyMillis === null
    ? null
    : attacked.latencyMillis.p50 / idle.latencyMillis.p50

/** By the client and by the server. */
const heldOf = ({ accepted, over }: Slowloris): number => Math.min(accepted, over.held)

const slowlorisTargets = (part: Parts["6"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  const { connections } = part.plan
  const names = ["event-driven", "hybrid", "2 loops"].filter((name) => entrantsOf(part).includes(name))
  return names.flatMap((name) => {
    const samples = samplesOf(part, name)
    const held = Math.min(...samples.map(heldOf))
    const unanswered = samples.reduce((sum, { attacked }) => sum + attacked.offered - attacked.answered, 0)
    const times = samples.map(slowdown)
    const lost = unanswered === 0 ? "all answered" : `${unanswered} not answered`
    return [
      {
        target: `6: ${name}, all ${number(connections)} slow connections held`,
        measured: number(held),
        met: held >= connections
      },
      {
        target: `6: ${name}, honest clients answered in at most ${slowlorisTarget} times their idle latency`,
        measured: `${shown(times)} times, ${lost}`,
        met: unanswered === 0 && (middle(times) ?? Infinity) <= slowlorisTarget
      }
    ]
  })
}

const ingestTargetsOf = (part: Parts["7"] | undefined): ReadonlyArray<Target> => {
  if (part === undefined) return []
  return Object.entries(ingestTargets).flatMap(([rate, least]) => {
    const shares = samplesOf(part, entrantName("MetricStream", Number(rate))).map(
      ({ answered, offered }) => (100 * answered) / offered
    )
    if (shares.length === 0) return []
    return [
      {
        target: `7: MetricStream on the hybrid server, at least ${rounded(least).replace(/\.0$/, "")} % stored and answered at ${number(Number(rate))}/s`,
        measured: shown(shares, " %", (value) => number(value, 2)),
        met: middle(shares)! >= least
      }
    ]
  })
}

/** Only of what was measured. */
export const targetsOf = (results: Results): ReadonlyArray<Target> => [
  ...throughputTargets(results["1"]),
  ...slowlorisTargets(results["6"]),
  ...ingestTargetsOf(results["7"])
]
