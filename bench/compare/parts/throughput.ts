/**
 * Comparison 1: a thousand clients, each of which asks again as soon as it has its answer, and a handler that waits 100 ms. A closed loop is
 * the question here (how many answers do so many clients get?), so the load is wrk; its latencies are not used.
 */
import { commandOf, loops, plain, pool, startSeconds, warmUpOf } from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { runProgram } from "../children.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { withServer } from "../server.ts"

export interface ThroughputPlan {
  readonly clients: number
  readonly waitMillis: number
  readonly seconds: number
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

const entrants: ReadonlyArray<Entrant> = [
  plain("sequential"),
  pool(8),
  pool(32),
  plain("event-driven"),
  plain("hybrid"),
  loops(2),
  loops(8)
]

const number = (pattern: RegExp, text: string): number => Number(pattern.exec(text)?.[1] ?? 0)

const measure = async (entrant: Entrant, { clients, seconds, waitMillis }: ThroughputPlan): Promise<Throughput> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    const idle = server.footprint()
    const url = `http://127.0.0.1:${server.port}/sleep?ms=${waitMillis}`
    const before = server.cpuSeconds()
    const since = performance.now()
    const args = ["-t1", `-c${clients}`, `-d${seconds}s`, "--timeout", "60s", url]
    const printed = await runProgram("wrk", args, seconds + 60)
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
  const plan = { clients: 1000, waitMillis: 100, seconds: mode === "quick" ? 3 : 6 }
  const steps = entrants.map((entrant) => ({
    entrant: entrant.name,
    seconds: plan.seconds + startSeconds(entrant),
    measure: () => measure(entrant, plan)
  }))
  return { id: "1", title: "1,000 clients", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
