/**
 * What is measured, and for how long. `npm run bench -- overload [quick] [scenario …] [server …]`: without names all of them; `quick` takes
 * about five minutes, leaves out Fastify alone and stock unless they are named, and writes no results; neither does a run with only some of
 * the servers. The whole takes about 40 minutes, and says at its start how long; scenarios that are not named keep their last results.
 *
 * `npm run bench -- overload tune [quick] [server …]` tries the settings of the servers instead: see `tune.ts`.
 */
export const scenarioNames = [
  "cpu",
  "strangers",
  "rendering",
  "offloaded",
  "sleep",
  "unbounded",
  "crowd",
  "recovery",
  "fairness",
  "shedding"
] as const
export type ScenarioName = (typeof scenarioNames)[number]

export const serverNames = ["ours", "fastify", "under-pressure", "piscina", "stock"] as const
export type ServerName = (typeof serverNames)[number]

export interface Plan {
  /** How often the capacity and the `repeated` multiples are measured. */
  readonly rounds: number
  /** Multiples of a server's own capacity that it is offered in the first round. */
  readonly multiples: ReadonlyArray<number>
  /** Those that it is offered in each further round, too: what is judged, and what varies. */
  readonly repeated: ReadonlyArray<number>
  /** Seconds of one step, its warm-up included. */
  readonly seconds: number
  /** Those at its beginning that are not counted. */
  readonly warmUp: number
}

/**
 * Seconds at the beginning of a step that are not measured. Overload begins with a swing: first the queue fills while all is answered, then
 * nothing is answered in time, and only when the first clients have hung up and come back does it look as it then stays.
 */
export const warmUp = 2
export const capacityWarmUp = 1
/** How long a capacity is measured then. */
export const capacitySeconds = 2
/** How long clients wait before they hang up. */
export const patienceMillis = 1000
/** With a queue of 50 tasks of 20 ms in front of one worker, as one of the peers has it, nobody patient for 1 s would get an answer. */
export const offloadedPatienceMillis = 2000

/** The server's only core, and the generator's. */
export const cores = { server: 0, load: 1 }

const isOneOf = <A extends string>(names: ReadonlyArray<A>, name: string): name is A => names.includes(name as A)

const parse = (args: ReadonlyArray<string>) => {
  const unknown = args.filter((arg) => ![...scenarioNames, ...serverNames, "quick", "tune"].includes(arg))
  if (unknown.length > 0) {
    const known = `quick, tune, ${scenarioNames.join(", ")}, ${serverNames.join(", ")}`
    throw new Error(`overload: ${unknown.join(", ")} is none of ${known}`)
  }
  const scenarios = args.filter((arg) => isOneOf(scenarioNames, arg))
  const servers = args.filter((arg) => isOneOf(serverNames, arg))
  const [quick, tune] = [args.includes("quick"), args.includes("tune")]
  const usual: ReadonlyArray<ServerName> = quick ? ["ours", "under-pressure", "piscina"] : serverNames
  return {
    quick,
    tune,
    scenarios: scenarios.length > 0 ? scenarios : scenarioNames,
    servers: servers.length > 0 ? servers : usual
  }
}

export const { quick, scenarios, servers, tune } = parse(process.argv.slice(2))

/** Whether the results are kept. */
export const isComplete = !quick && servers.length === serverNames.length

const all = [0.5, 1, 2, 5, 10]

/** `OVERLOAD_ROUNDS=5` measures that often what has a target; what is only compared with is measured as often as the scenario says. */
const rounds = Number(process.env["OVERLOAD_ROUNDS"] ?? 3)

export const plans: Readonly<Record<"cpu" | "strangers" | "rendering" | "offloaded" | "sleep" | "unbounded", Plan>> =
  quick
    ? {
        cpu: { rounds: 1, multiples: [1, 2, 5, 10], repeated: [], seconds: 3.5, warmUp },
        strangers: { rounds: 1, multiples: [2, 5, 10], repeated: [], seconds: 3.5, warmUp },
        rendering: { rounds: 1, multiples: [2, 5, 10], repeated: [], seconds: 4.5, warmUp },
        offloaded: { rounds: 1, multiples: [5], repeated: [], seconds: 4, warmUp },
        sleep: { rounds: 1, multiples: [2, 10], repeated: [], seconds: 3.5, warmUp },
        unbounded: { rounds: 1, multiples: [2], repeated: [], seconds: 12, warmUp: 10 }
      }
    : {
        // Connections are lost one patience after the other: a server that only loses looks well for some seconds.
        cpu: { rounds, multiples: all, repeated: [2, 5, 10], seconds: 5, warmUp },
        strangers: { rounds, multiples: [2, 5, 10], repeated: [2, 5, 10], seconds: 3.5, warmUp },
        // What a second brings is seen in the next one: these swing for longest.
        rendering: { rounds, multiples: [0.8, 2, 5, 10], repeated: [2, 5, 10], seconds: 6, warmUp },
        // The p99 of `/fast` is compared at 5 times: that takes some hundreds of answers, and more than one round.
        offloaded: { rounds, multiples: all, repeated: [5], seconds: 5, warmUp },
        // Nothing is judged here.
        sleep: { rounds, multiples: all, repeated: [10], seconds: 4, warmUp },
        // The adaptive limit needs that long to go down.
        unbounded: { rounds: 1, multiples: [2, 10], repeated: [], seconds: 28, warmUp: 24 }
      }

/** `rounds`: of our server; a peer, which has no target here, is measured once. */
export const recovery = quick ? { rounds: 1, overloaded: 3, after: 3 } : { rounds, overloaded: 10, after: 4 }

/** `rounds` as for `recovery`. Seconds without the crowd, and with it. */
export const crowd = { rounds: quick ? 1 : rounds, before: 4, seconds: 5 }

/**
 * `critical`: at least so many of them, so that the share of those that failed says something: of 2,000 requests 10 may fail. `rounds` as for
 * `recovery`.
 */
export const fairness = quick ? { rounds: 1, critical: 200 } : { rounds, critical: 2000 }
export const shedding = quick ? { rounds: 1, seconds: 1 } : { rounds, seconds: 2 }
