/** A crowd that comes all of a sudden and only waits, where a few others have kept the loop busy: how soon a server that guards itself serves it. */
import { watchSteal } from "../../support/machine.ts"
import { kinds } from "./kinds.ts"
import { open } from "./steps.ts"
import { loadSeconds, warmedSeconds } from "../estimate.ts"
import { interleave, underLoad, warmed } from "../run.ts"
import type { Entrant, Result } from "../run.ts"
import { crowd, patienceMillis, servers } from "../settings.ts"
import type { Bin, StreamReport } from "../streams.ts"

/** Requests a second, and what they do: 20 that take 10 ms each, a fifth of the loop, and then 2,000 that wait 300 ms and take next to nothing. */
const few = { path: "/cpu?ms=10", rate: 20 }
const many = { path: "/cpu?ms=0.1&after=300", rate: 2000 }

export interface Crowd {
  /** Of those of the crowd who became due in its first second, and in the rest of the time, the shares that were answered 200 in time. */
  readonly atFirst: number
  readonly later: number
  /** Of the few, while the crowd is there. */
  readonly few: number
  readonly crowd: StreamReport
}

export interface CrowdReport {
  readonly before: number
  readonly seconds: number
  readonly few: typeof few
  readonly many: typeof many
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Result<Crowd>>
}

const useful = (bins: ReadonlyArray<Bin>): number => {
  const sum = (key: keyof Bin) => bins.reduce((total, bin) => total + bin[key], 0)
  return sum("useful") / sum("offered")
}

const measure = async ({ name, options, server }: Entrant, round: number): Promise<Crowd> => {
  const { before, seconds } = crowd
  const kind = { patienceMillis, clients: "kept" as const }
  const streams = [
    { ...open({ ...kind, path: few.path }, few.rate, before + seconds, round + 1), bins: true, warmUp: 0 },
    { ...open({ ...kind, path: many.path }, many.rate, seconds, round + 100), bins: true, after: before, warmUp: 0 }
  ]
  const measured = await underLoad(server, warmed(few.path, streams), options)
  const [beside, came] = measured.streams as [StreamReport, StreamReport]
  const result = {
    atFirst: useful(came.bins!.slice(0, 10)),
    later: useful(came.bins!.slice(10)),
    few: useful(beside.bins!.slice(before * 10)),
    crowd: came
  }
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  console.log(
    `crowd, ${name}, round ${round + 1}: useful ${percent(result.atFirst)} in the first second, ${percent(result.later)} later, ` +
      `p99 ${came.latencyMillis?.p99.toFixed(0) ?? "-"} ms; ${percent(result.few)} of the few`
  )
  return result
}

const roundsOf = ({ isJudged }: Entrant) => (isJudged === true ? crowd.rounds : Math.min(1, crowd.rounds))
const entrants = () => kinds.cpu.entrants.filter(({ server }) => servers.includes(server))

export const runCrowd = async (): Promise<CrowdReport> => {
  const steal = watchSteal()
  const results = await interleave(entrants(), roundsOf, measure)
  const { before, seconds } = crowd
  return { before, seconds, few, many, stealPercent: steal(), results }
}

export const crowdSeconds = (): number => {
  const each = warmedSeconds + loadSeconds(crowd.before + crowd.seconds, patienceMillis)
  return entrants().reduce((sum, entrant) => sum + roundsOf(entrant) * each, 0)
}
