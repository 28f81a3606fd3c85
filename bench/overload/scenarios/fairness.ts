/** Five times what a server carries, of requests that may be refused, and beside them half of what it carries of critical ones. */
import { watchSteal } from "../../support/machine.ts"
import { loadSeconds, warmedSeconds } from "../estimate.ts"
import { interleave, underLoad, warmed } from "../run.ts"
import type { Entrant, Result } from "../run.ts"
import { fairness, patienceMillis, servers } from "../settings.ts"
import type { OpenStream, StreamReport } from "../streams.ts"
import { oursByDefault, underPressure } from "./kinds.ts"
import { cpuCapacity, open } from "./steps.ts"

const path = "/cpu?ms=5"
const offered = { sheddable: 5, critical: 0.5 }
const priorities = ["sheddable", "critical"] as const

export interface Fairness {
  readonly capacity: number
  readonly seconds: number
  readonly sheddable: StreamReport
  readonly critical: StreamReport
  /** Share of the critical requests, all from the first on, that were answered 200 within their patience. */
  readonly criticalSuccess: number
}

export interface FairnessReport {
  readonly offered: typeof offered
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Result<Fairness>>
}

interface Contender extends Entrant {
  /** As whom its capacity is known. */
  readonly entrant: Entrant
  /** Whether both kinds of requests come on the same connections, as from a proxy that keeps some, or each on its own. */
  readonly isShared: boolean
}

/** What knows no priorities is measured once, and on connections of its own: it cannot tell the requests apart anyway. */
const contenders: ReadonlyArray<Contender> = [
  { ...oursByDefault, entrant: oursByDefault, name: `${oursByDefault.name}, own connections`, isShared: false },
  { ...oursByDefault, entrant: oursByDefault, name: `${oursByDefault.name}, shared connections`, isShared: true },
  { ...underPressure, entrant: underPressure, name: `${underPressure.name}, own connections`, isShared: false }
]
const roundsOf = ({ isJudged }: Contender) => (isJudged === true ? fairness.rounds : Math.min(1, fairness.rounds))
const entrants = () => contenders.filter(({ server }) => servers.includes(server))

/** So long that fewer critical requests than asked for become due once in a thousand times: three deviations of a Poisson number. */
const secondsFor = (capacity: number) =>
  Math.ceil((fairness.critical + 3 * Math.sqrt(fairness.critical)) / (offered.critical * capacity))

const streamsFor = (capacity: number, isShared: boolean, round: number): ReadonlyArray<OpenStream> => {
  const seconds = secondsFor(capacity)
  const kind = { path, patienceMillis, clients: "kept" as const }
  const headers = (priority: string) => ({ "x-priority": priority })
  const seed = 10 * (round + 1)
  if (!isShared) {
    return priorities.map((name, i) => ({
      ...open(kind, offered[name] * capacity, seconds, seed + i),
      name,
      headers: headers(name)
    }))
  }
  const all = offered.sheddable + offered.critical
  const mix = priorities.map((name) => ({ name, share: offered[name] / all, headers: headers(name) }))
  return [{ ...open(kind, all * capacity, seconds, seed), mix }]
}

const measure = async (contender: Contender, round: number): Promise<Fairness> => {
  const { entrant, isShared, name, options, server } = contender
  const capacity = await cpuCapacity(entrant, round)
  const streams = streamsFor(capacity, isShared, round)
  const measured = await underLoad(server, warmed(path, streams), options)
  const [sheddable, critical] = measured.streams as [StreamReport, StreamReport]
  const criticalSuccess = (critical.statuses["200"] ?? 0) / critical.offered
  console.log(
    `fairness, ${name}, round ${round + 1}: capacity ${capacity.toFixed(1)}/s, critical ${(100 * criticalSuccess).toFixed(2)} % of ` +
      `${critical.offered} (${critical.refused} refused, ${critical.timedOut} timed out), p99 ${critical.latencyMillis?.p99.toFixed(1) ?? "-"} ms; ` +
      `${sheddable.goodput.toFixed(1)} sheddable/s beside`
  )
  return { capacity, seconds: streams[0]!.seconds, sheddable, critical, criticalSuccess }
}

export const runFairness = async (): Promise<FairnessReport> => {
  const steal = watchSteal()
  const results = await interleave(entrants(), roundsOf, measure)
  return { offered, stealPercent: steal(), results }
}

/** How long it takes, if a server carries 190/s as one does that has nothing else to do. */
export const fairnessSeconds = (): number => {
  const each = warmedSeconds + loadSeconds(secondsFor(190), patienceMillis)
  return entrants().reduce((sum, contender) => sum + roundsOf(contender) * each, 0)
}
