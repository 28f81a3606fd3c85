/**
 * Comparison 1: a thousand clients, each of which asks again as soon as it has its answer, and a handler that waits 100 ms. A closed loop is
 * the question here (how many answers do so many clients get?), so the load is wrk; its latencies are not used.
 */
import { commandOf, entrantsIn, loops, plain, pool, startSeconds, warmUpOf } from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { runProgram } from "../children.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { withServer } from "../server.ts"
import type { Server } from "../server.ts"

export interface ThroughputPlan {
  readonly clients: number
  readonly waitMillis: number
  readonly seconds: number
  /** Of the same load before it counts, on the event loops: their code is compiled while they serve. */
  readonly warmUpSeconds: number
}

export interface Throughput {
  /** Answers 200 a second. */
  readonly perSecond: number
  /** Answers with another status. */
  readonly refused: number
  /** Connections that failed, as wrk says it; empty if none did. */
  readonly socketErrors: string
  /** CPU seconds of the server a second. */
  readonly cores: number
  readonly idle: Footprint
  readonly peak: Footprint
  readonly fell: string | null
}

/**
 * As the first three listen: of 1,000 clients that connect in the same moment, the default of 511 would send half away for a second, and they
 * would be missing in the rate.
 */
const backlog = { SPILLWAY_HTTP_BACKLOG: "4096" }

const entrants: ReadonlyArray<Entrant> = [
  plain("sequential"),
  pool(8),
  pool(32),
  plain("event-driven", backlog),
  plain("hybrid", backlog),
  loops(2, backlog),
  loops(8, backlog)
]

const isLoop = ({ architecture }: Entrant): boolean =>
  architecture === "event-driven" || architecture === "hybrid" || architecture === "multi-loop"

/** Runs wrk and returns what it prints. */
const wrk = ({ port }: Server, { clients, waitMillis }: ThroughputPlan, seconds: number): Promise<string> => {
  const url = `http://127.0.0.1:${port}/sleep?ms=${waitMillis}`
  return runProgram("wrk", ["-t1", `-c${clients}`, `-d${seconds}s`, "--timeout", "60s", url], seconds + 60)
}

const number = (pattern: RegExp, text: string): number => Number(pattern.exec(text)?.[1] ?? 0)

const measure = (entrant: Entrant, plan: ThroughputPlan): Promise<Throughput> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    const idle = server.footprint()
    // Those that hold a thread would still be at work on what the warm-up left behind.
    if (isLoop(entrant)) await wrk(server, plan, plan.warmUpSeconds)
    const before = server.cpuSeconds()
    const since = performance.now()
    const printed = await wrk(server, plan, plan.seconds)
    const [cpu, wall] = [server.cpuSeconds() - before, (performance.now() - since) / 1000]
    const refused = number(/Non-2xx or 3xx responses: (\d+)/, printed)
    const answers = number(/(\d+) requests in/, printed) - refused
    const took = number(/requests in ([\d.]+)s/, printed)
    return {
      perSecond: answers / took,
      refused,
      socketErrors: /Socket errors: (.*)/.exec(printed)?.[1] ?? "",
      cores: cpu / wall,
      idle,
      peak: server.peak,
      fell: server.fell
    }
  })

export const throughput = (mode: Mode): Comparison<ThroughputPlan, Throughput> => {
  const plan = {
    clients: 1000,
    waitMillis: 100,
    seconds: mode === "quick" ? 3 : 5,
    warmUpSeconds: mode === "quick" ? 1 : 2
  }
  const steps = entrantsIn(mode, entrants, ["pool of 32", "2 loops", "8 loops"]).map((entrant) => ({
    entrant: entrant.name,
    seconds: plan.seconds + startSeconds(entrant) + (isLoop(entrant) ? plan.warmUpSeconds : 0),
    measure: () => measure(entrant, plan)
  }))
  return { id: "1", title: "1,000 clients", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
