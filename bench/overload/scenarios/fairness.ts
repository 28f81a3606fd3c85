/** Five times what a server carries, of requests that may be refused, and beside them half of what it carries of critical ones. */
import { watchSteal } from "../../support/machine.ts"
import { interleave, load, warmed, withServer } from "../run.ts"
import { fairness, patienceMillis, servers } from "../settings.ts"
import type { ServerName } from "../settings.ts"
import type { StreamReport } from "../streams.ts"
import { cpuCapacity, open } from "./steps.ts"

const path = "/cpu?ms=5"
const offered = { sheddable: 5, critical: 0.5 }

export interface Fairness {
  readonly capacity: number
  readonly sheddable: StreamReport
  readonly critical: StreamReport
  /** Share of the critical requests, all from the first on, that were answered 200 in time. */
  readonly criticalSuccess: number
}

export interface FairnessReport {
  readonly offered: typeof offered
  readonly seconds: number
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<{ readonly name: ServerName; readonly rounds: ReadonlyArray<Fairness> }>
}

const measure = async (name: ServerName, round: number): Promise<Fairness> => {
  const capacity = await cpuCapacity(name)
  const kind = { path, patienceMillis, clients: "kept" as const }
  const streams = (["sheddable", "critical"] as const).map((priority, i) => ({
    ...open(kind, offered[priority] * capacity, fairness.seconds, 10 * (round + 1) + i),
    name: priority,
    headers: { "x-priority": priority }
  }))
  const measured = await withServer(name, (server) => load(server, warmed(path, streams)))
  const [sheddable, critical] = measured.streams as [StreamReport, StreamReport]
  const criticalSuccess = (critical.statuses["200"] ?? 0) / critical.offered
  console.log(
    `fairness, ${name}, round ${round + 1}: capacity ${capacity.toFixed(1)}/s, critical ${(100 * criticalSuccess).toFixed(2)} % of ` +
      `${critical.offered}, p99 ${critical.latencyMillis?.p99.toFixed(1) ?? "-"} ms; ` +
      `${sheddable.goodput.toFixed(1)} sheddable/s beside`
  )
  return { capacity, sheddable, critical, criticalSuccess }
}

export const runFairness = async (): Promise<FairnessReport> => {
  const steal = watchSteal()
  const names = (["ours", "under-pressure"] as const).filter((name) => servers.includes(name))
  const results = await interleave(names, fairness.rounds, measure)
  return { offered, seconds: fairness.seconds, stealPercent: steal(), results }
}
