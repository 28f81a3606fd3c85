/** Ten times what a server carries, then normal load: until when clients still miss their answers. */
import { watchSteal } from "../../support/machine.ts"
import { kinds } from "./kinds.ts"
import { cpuCapacity, open } from "./steps.ts"
import { loadSeconds, warmedSeconds } from "../estimate.ts"
import { interleave, underLoad, warmed } from "../run.ts"
import type { Entrant, Result } from "../run.ts"
import { patienceMillis, recovery, servers } from "../settings.ts"
import type { Bin } from "../streams.ts"

const [multiple, normal] = [10, 0.8]
const binMillis = 100
const path = "/cpu?ms=5"

export interface Recovery {
  readonly capacity: number
  /**
   * Milliseconds from the end of the overload until goodput is whole and stays so: the end of the last tenth of a second in which fewer than
   * nine of ten requests that became due were answered 200 in time. `null`: not within what was watched.
   */
  readonly wholeAfter: number | null
  /** Of all requests that became due after the overload, the share that was answered 200 in time. */
  readonly useful: number
  readonly bins: ReadonlyArray<Bin>
}

export interface RecoveryReport {
  readonly overloaded: number
  readonly after: number
  readonly multiple: number
  readonly normal: number
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Result<Recovery>>
}

const summarize = (capacity: number, bins: ReadonlyArray<Bin>): Recovery => {
  const last = bins.findLastIndex(({ offered, useful }) => useful < 0.9 * offered)
  const sum = (key: keyof Bin) => bins.reduce((total, bin) => total + bin[key], 0)
  // A server that failed within the last half second has not recovered.
  const wholeAfter = last >= bins.length - 5 ? null : (last + 1) * binMillis
  return { capacity, wholeAfter, useful: sum("useful") / sum("offered"), bins }
}

const measure = async (entrant: Entrant, round: number): Promise<Recovery> => {
  const { name, options, server } = entrant
  const capacity = await cpuCapacity(entrant, round)
  const { after, overloaded } = recovery
  const kind = { path, patienceMillis, clients: "kept" as const }
  const overload = { ...open(kind, multiple * capacity, overloaded, round + 1), name: "overload" }
  const calm = { ...open(kind, normal * capacity, after, round + 100), name: "normal", after: overloaded, bins: true }
  const { streams } = await underLoad(server, warmed(path, [overload, { ...calm, warmUp: 0 }]), options)
  const result = summarize(capacity, streams[1]!.bins!)
  const shares = result.bins.map(({ offered, useful }) => (offered === 0 ? "-" : Math.round((100 * useful) / offered)))
  console.log(
    `recovery, ${name}, round ${round + 1}: capacity ${capacity.toFixed(1)}/s, overload ${streams[0]!.goodput.toFixed(1)} useful/s, then ` +
      `whole after ${result.wholeAfter ?? "never"} ms, ${(100 * result.useful).toFixed(1)} % useful\n  % by 100 ms: ${shares.join(" ")}`
  )
  return result
}

const roundsOf = ({ isJudged }: Entrant) => (isJudged === true ? recovery.rounds : Math.min(1, recovery.rounds))
const entrants = () => kinds.cpu.entrants.filter(({ server }) => servers.includes(server))

export const runRecovery = async (): Promise<RecoveryReport> => {
  const steal = watchSteal()
  const results = await interleave(entrants(), roundsOf, measure)
  return { ...recovery, multiple, normal, stealPercent: steal(), results }
}

/** How long it takes, if the capacities are known from `cpu`. */
export const recoverySeconds = (): number => {
  const each = warmedSeconds + loadSeconds(recovery.overloaded + recovery.after, patienceMillis)
  return entrants().reduce((sum, entrant) => sum + roundsOf(entrant) * each, 0)
}
