/** Offered load in multiples of a server's own capacity: useless work, useful work, and what its clients wait. */
import { sleepLimit, slots } from "../dependency.ts"
import { watchSteal } from "../../support/machine.ts"
import { interleave, load, warmed, withServer } from "../run.ts"
import type { Measured } from "../run.ts"
import { capacityWarmUp, offloadedPatienceMillis, patienceMillis, plans, servers, warmUp } from "../settings.ts"
import type { Plan, ServerName } from "../settings.ts"
import type { Changed } from "../servers/ours.ts"
import type { Clients, ClosedStream, OpenStream, StreamReport } from "../streams.ts"

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
  readonly results: ReadonlyArray<{ readonly name: ServerName; readonly rounds: ReadonlyArray<StepsRound> }>
}

export interface Kind {
  readonly name: "cpu" | "strangers" | "offloaded" | "sleep"
  readonly path: string
  readonly servers: ReadonlyArray<ServerName>
  readonly patienceMillis: number
  readonly clients: Clients
  /** In what our server differs from its defaults. */
  readonly ours?: Changed
  /** Connections of the closed loop: as few as keep the server busy. */
  readonly callers: number
  /** Requests a second for `/fast` beside it. */
  readonly fast: number
}

const onLoop: ReadonlyArray<ServerName> = ["ours", "fastify", "under-pressure", "stock"]

const cpu = { path: "/cpu?ms=5", servers: onLoop, patienceMillis, callers: 4, fast: 0 }

export const kinds = {
  cpu: { ...cpu, name: "cpu", clients: "kept" },
  strangers: { ...cpu, name: "strangers", clients: "own" },
  offloaded: {
    name: "offloaded",
    path: "/cpu?ms=20&offload",
    servers: ["ours", "piscina", "stock"],
    patienceMillis: offloadedPatienceMillis,
    clients: "kept",
    callers: 3,
    fast: 100
  },
  sleep: {
    name: "sleep",
    path: "/sleep?ms=100",
    servers: onLoop,
    patienceMillis,
    clients: "kept",
    ours: { server: { maxConcurrent: sleepLimit } },
    callers: slots + 4,
    fast: 0
  }
} as const satisfies Record<string, Kind>

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

/** As JSON for the server: `options` for one of the peers, and for ours, unless the scenario has its own. */
const optionsOf = (name: ServerName, { ours }: Kind, options?: object) =>
  options ?? (name === "ours" ? ours : undefined)

/** With what runs beside it, and a first second in which the code is compiled. */
export const measureCapacity = (name: ServerName, kind: Kind, seconds: number): Promise<number> =>
  withServer(
    name,
    async (server) => {
      const beside = fastBeside(kind, capacityWarmUp + seconds, 0).map((fast) => ({ ...fast, warmUp: capacityWarmUp }))
      const { streams } = await load(server, [closed(kind, capacityWarmUp + seconds), ...beside])
      return streams[0]!.goodput
    },
    optionsOf(name, kind)
  )

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
  readonly seed: number
}

/** Offers a multiple of a capacity to a new server. */
export const measureStep = (name: ServerName, kind: Kind, offer: Offer, options?: object): Promise<Step> =>
  withServer(
    name,
    async (server) => {
      const { capacity, multiple, seconds, seed } = offer
      const rate = capacity * multiple
      const main = rate === 0 ? [] : [open(kind, rate, seconds, seed)]
      const measured = await load(server, warmed(kind.path, [...main, ...fastBeside(kind, seconds, seed)]))
      return toStep(multiple, rate, measured)
    },
    optionsOf(name, kind, options)
  )

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

/** Offers one server all the multiples in turn, each to a new process. */
const measureServer = async (name: ServerName, kind: Kind, plan: Plan, round: number): Promise<StepsRound> => {
  const capacity = await measureCapacity(name, kind, plan.seconds - warmUp)
  console.log(`${kind.name}, ${name}, round ${round + 1}: capacity ${capacity.toFixed(1)}/s`)
  const steps: Array<Step> = []
  for (const multiple of kind.fast === 0 ? plan.multiples : [0, ...plan.multiples]) {
    const step = await measureStep(name, kind, { capacity, multiple, seconds: plan.seconds, seed: round + 1 })
    console.log(describe(step))
    steps.push(step)
  }
  return { capacity, steps }
}

export const runSteps = async (which: keyof typeof kinds): Promise<StepsReport> => {
  const [kind, plan, steal] = [kinds[which] as Kind, plans[which], watchSteal()]
  const names = kind.servers.filter((name) => servers.includes(name))
  const results = await interleave(names, plan.rounds, (name, round) => measureServer(name, kind, plan, round))
  return { plan, patienceMillis: kind.patienceMillis, stealPercent: steal(), results }
}

/** What a server carries of `/cpu?ms=5`, for the scenarios that offer it multiples of that. */
export const cpuCapacity = (name: ServerName): Promise<number> => measureCapacity(name, kinds.cpu, 1)
