/** Offered load in multiples of a server's own capacity: useless work, useful work, and what its clients wait. */
import { watchSteal } from "../../support/machine.ts"
import { capacityLoadSeconds, loadSeconds, warmedSeconds } from "../estimate.ts"
import { interleave, underLoad, warmed } from "../run.ts"
import type { Entrant, Measured, Result } from "../run.ts"
import { capacitySeconds, capacityWarmUp, patienceMillis, plans, servers, warmUp } from "../settings.ts"
import type { Plan } from "../settings.ts"
import type { ClosedStream, OpenStream, StreamReport } from "../streams.ts"
import { kinds } from "./kinds.ts"
import type { Kind } from "./kinds.ts"

export interface Step {
  /** Of the capacity; 0 is the stream beside it alone. */
  readonly multiple: number
  /** Requests a second, 0 for none. */
  readonly rate: number
  readonly main: StreamReport | undefined
  /** `/fast`, where it is measured beside. */
  readonly beside: StreamReport | undefined
  readonly serverCpu: number
  readonly loadCpu: number
  readonly otherCpu: number
}

export interface StepsRound {
  /** 200 a second for clients that wait for each other: closed loop. */
  readonly capacity: number
  readonly steps: ReadonlyArray<Step>
}

export interface StepsReport {
  readonly plan: Plan
  readonly patienceMillis: number
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Result<StepsRound>>
}

/** So many that all requests of one patience find one, and a few more. */
const connectionsFor = (rate: number, patience: number) =>
  Math.min(8000, Math.ceil((rate * patience * 1.2) / 1000) + 50)

const closed = ({ callers, clients, path }: Kind, seconds: number): ClosedStream => ({
  kind: "closed",
  clients,
  name: "capacity",
  path,
  seconds,
  warmUp: capacityWarmUp,
  connections: callers
})

export const open = (
  kind: Pick<Kind, "path" | "patienceMillis" | "clients">,
  rate: number,
  seconds: number,
  seed: number
): OpenStream => ({
  kind: "open",
  name: kind.path,
  path: kind.path,
  rate,
  seed,
  seconds,
  warmUp,
  patienceMillis: kind.patienceMillis,
  clients: kind.clients,
  connections: connectionsFor(rate, kind.patienceMillis)
})

const fastBeside = (kind: Kind, seconds: number, seed: number) =>
  kind.fast === 0 ? [] : [open({ path: "/fast", patienceMillis, clients: "kept" }, kind.fast, seconds, 1000 + seed)]

/** With what runs beside it, and a first second in which the code is compiled. */
export const measureCapacity = async ({ options, server }: Entrant, kind: Kind): Promise<number> => {
  const seconds = capacityWarmUp + capacitySeconds
  const beside = fastBeside(kind, seconds, 0).map((fast) => ({ ...fast, warmUp: capacityWarmUp }))
  const { streams } = await underLoad(server, [closed(kind, seconds), ...beside], options)
  return streams[0]!.goodput
}

const known = new Map<string, Promise<number>>()

/** What a server carries of `/cpu?ms=5`: measured once in each round, for all scenarios that offer it multiples of that. */
export const cpuCapacity = (entrant: Entrant, round: number): Promise<number> => {
  const key = `${entrant.name}, ${round}`
  const capacity = known.get(key) ?? measureCapacity(entrant, kinds.cpu)
  known.set(key, capacity)
  return capacity
}

const toStep = (multiple: number, rate: number, { loadCpu, otherCpu, serverCpu, streams }: Measured): Step => ({
  multiple,
  rate,
  main: rate === 0 ? undefined : streams[0],
  beside: streams[rate === 0 ? 0 : 1],
  serverCpu,
  loadCpu,
  otherCpu
})

export interface Offer {
  readonly capacity: number
  readonly multiple: number
  readonly seconds: number
  /** At their beginning, not measured. */
  readonly warmUp: number
  readonly seed: number
}

/** Offers a multiple of a capacity to a new server. */
export const measureStep = async ({ options, server }: Entrant, kind: Kind, offer: Offer): Promise<Step> => {
  const { capacity, multiple, seconds, seed, warmUp } = offer
  const rate = capacity * multiple
  const main = rate === 0 ? [] : [{ ...open(kind, rate, seconds, seed), warmUp }]
  const beside = fastBeside(kind, seconds, seed)
  return toStep(multiple, rate, await underLoad(server, warmed(kind.path, [...main, ...beside]), options))
}

export const describe = ({ beside, loadCpu, main, multiple, otherCpu, rate, serverCpu }: Step): string => {
  const millis = (value: number | undefined) => value?.toFixed(1) ?? "-"
  const part = ({ broken, goodput, lagMillis, latencyMillis, offered, refused, timedOut }: StreamReport) =>
    `${goodput.toFixed(1)} useful/s, p50 ${millis(latencyMillis?.p50)} p99 ${millis(latencyMillis?.p99)} ms; of ${offered} ` +
    `${refused} refused, ${timedOut} timed out, ${broken} broken; lag p99 ${millis(lagMillis.p99)} ms`
  return (
    `  ${String(multiple).padStart(4)}x ${rate.toFixed(0).padStart(5)}/s: ` +
    `${main === undefined ? "" : part(main)}${beside === undefined ? "" : ` | /fast ${part(beside)}`} | ` +
    `CPU ${serverCpu.toFixed(2)}, generator ${loadCpu.toFixed(2)}, others ${otherCpu.toFixed(2)}`
  )
}

/** What is offered in a round; 0 is the stream beside it alone. */
const multiplesOf = ({ fast }: Kind, { multiples, repeated }: Plan, round: number): ReadonlyArray<number> =>
  round > 0 ? repeated : fast === 0 ? multiples : [0, ...multiples]

/** Offers one server the multiples in turn, each to a new process. */
const measureServer = async (entrant: Entrant, kind: Kind, plan: Plan, round: number): Promise<StepsRound> => {
  const capacity = await (kind === kinds.cpu ? cpuCapacity(entrant, round) : measureCapacity(entrant, kind))
  console.log(`${kind.name}, ${entrant.name}, round ${round + 1}: capacity ${capacity.toFixed(1)}/s`)
  const steps: Array<Step> = []
  for (const multiple of multiplesOf(kind, plan, round)) {
    const step = await measureStep(entrant, kind, { ...plan, capacity, multiple, seed: round + 1 })
    console.log(describe(step))
    steps.push(step)
  }
  return { capacity, steps }
}

const entrantsOf = ({ entrants }: Kind) => entrants.filter(({ server }) => servers.includes(server))

export const runSteps = async (which: Kind["name"]): Promise<StepsReport> => {
  const [kind, plan, steal] = [kinds[which] as Kind, plans[which], watchSteal()]
  const measure = (entrant: Entrant, round: number) => measureServer(entrant, kind, plan, round)
  const results = await interleave(entrantsOf(kind), () => plan.rounds, measure)
  return { plan, patienceMillis: kind.patienceMillis, stealPercent: steal(), results }
}

/** How long `runSteps` takes. */
export const stepsSeconds = (which: Kind["name"]): number => {
  const [kind, plan] = [kinds[which] as Kind, plans[which]]
  const step = (multiple: number) => warmedSeconds + loadSeconds(plan.seconds, multiple > 1 ? kind.patienceMillis : 0)
  const rounds = Array.from({ length: plan.rounds }, (_, round) =>
    multiplesOf(kind, plan, round).reduce((sum, multiple) => sum + step(multiple), capacityLoadSeconds)
  )
  return entrantsOf(kind).length * rounds.reduce((sum, seconds) => sum + seconds, 0)
}
