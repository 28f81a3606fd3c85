/**
 * Comparison 6: 10,000 connections that each send a byte of their request every 30 s and never end it, and then honest clients, each on a
 * connection of its own. Are they answered, how fast, and what does each slow connection cost?
 */
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout as delay } from "node:timers/promises"
import {
  commandOf,
  entrantsIn,
  loops,
  onceIfThreads,
  plain,
  pool,
  startSeconds,
  warmUpOf,
  withDefaults
} from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { client, runClient, spawnNode } from "../children.ts"
import type { RateOptions, RateReport } from "../clients/openLoop.ts"
import type { SlowlorisCounts, SlowlorisOptions } from "../clients/slowloris.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { withServer } from "../server.ts"
import type { Server } from "../server.ts"

export interface SlowlorisPlan {
  readonly connections: number
  readonly intervalMillis: number
  /** How long the attack may take to open its connections: a server that accepts slowly has only those then. */
  readonly openMillis: number
  /** How often an honest client comes, for how long before the attack and as long in it, and how long it waits for its answer. */
  readonly rate: number
  /** How often to `thread-per-request`, which honest clients alone bring down at the rate of the others. */
  readonly threadRate: number
  readonly seconds: number
  readonly patienceMillis: number
  /** What the servers were told that take it. */
  readonly raised: Readonly<Record<string, string>>
}

export interface Slowloris {
  /** Honest clients before the attack and in it. */
  readonly idle: RateReport
  readonly attacked: RateReport
  /** The attack when all its connections were opened, and when the honest clients were done. */
  readonly begun: SlowlorisCounts
  readonly over: SlowlorisCounts
  /** Connections that the server had accepted then: its open sockets above those it had before. */
  readonly accepted: number
  /** The server before the attack, and in it when the honest clients were done. */
  readonly before: Footprint
  readonly during: Footprint
  readonly peak: Footprint
  readonly fell: string | null
}

/** Out of the way: what is measured is what a connection costs that is never closed. */
const raised = {
  SPILLWAY_HTTP_HEADERS_TIMEOUT: "10 minutes",
  SPILLWAY_HTTP_MAX_CONNECTIONS: "20000",
  SPILLWAY_HTTP_BACKLOG: "4096"
}

/** Requests of the warm-up, in those of other comparisons: a latency of code that is compiled only later would flatter the attack. */
const warmUps = 5
/** Longer than the 10 s that it gives to headers. */
const defaultsSeconds = 12

const entrants: ReadonlyArray<Entrant> = [
  plain("sequential"),
  plain("thread-per-request"),
  pool(4),
  plain("event-driven", raised),
  plain("hybrid", raised),
  loops(2, raised),
  { name: withDefaults, architecture: "hybrid" }
]

class Attack {
  readonly #child: ReturnType<typeof spawnNode>
  readonly #lines: AsyncIterator<string>

  constructor(options: SlowlorisOptions) {
    this.#child = spawnNode(client("slowloris"), [JSON.stringify(options)])
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  async counts(): Promise<SlowlorisCounts> {
    const { done, value } = await this.#lines.next()
    if (done === true) throw new Error("the slow clients ended without a report")
    return JSON.parse(value) as SlowlorisCounts
  }

  /** Has it report and go. */
  async end(): Promise<SlowlorisCounts> {
    const exited = once(this.#child, "exit")
    this.#child.stdin!.end()
    const counts = await this.counts()
    await exited
    return counts
  }

  kill(): void {
    this.#child.kill("SIGKILL")
  }
}

const honest = (server: Server, rate: number, { patienceMillis, seconds }: SlowlorisPlan) => {
  const options: RateOptions = {
    port: server.port,
    rate,
    seconds,
    // As many as come while one waits in vain: it must not be the load that is short of them.
    clients: Math.max(1, (rate * patienceMillis) / 1000),
    connection: "new",
    patienceMillis,
    path: "/fast",
    event: false,
    status: 200
  }
  return runClient<RateReport>("openLoop", options, seconds + 60)
}

const measure = (entrant: Entrant, plan: SlowlorisPlan): Promise<Slowloris> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(entrant.architecture === "thread-per-request" ? 4 : warmUps * warmUpOf(entrant))
    const rate = entrant.architecture === "thread-per-request" ? plan.threadRate : plan.rate
    const idle = await honest(server, rate, plan)
    const [before, sockets] = [server.footprint(), server.sockets()]
    const { connections, intervalMillis, openMillis } = plan
    const attack = new Attack({ port: server.port, connections, intervalMillis, patienceMillis: 3000, openMillis })
    try {
      const begun = await attack.counts()
      if (entrant.name === withDefaults) await delay(defaultsSeconds * 1000)
      const attacked = await honest(server, rate, plan)
      const [during, accepted] = [server.footprint(), Math.max(0, server.sockets() - sockets)]
      const over = await attack.end()
      return { idle, attacked, begun, over, accepted, before, during, peak: server.peak, fell: server.fell }
    } finally {
      attack.kill()
    }
  })

const expectedSeconds = (entrant: Entrant, { openMillis, patienceMillis, seconds }: SlowlorisPlan): number => {
  const isThreads = entrant.architecture === "thread-per-request"
  const opening = isThreads ? (openMillis + patienceMillis) / 1000 + 3 : 1.5
  return 1.5 + startSeconds(entrant) + opening + 2 * seconds + (entrant.name === withDefaults ? defaultsSeconds : 0)
}

export const slowloris = (mode: Mode): Comparison<SlowlorisPlan, Slowloris> => {
  const [seconds, patienceMillis, openMillis] = mode === "quick" ? [2, 2000, 4000] : [4, 5000, 10_000]
  const plan = {
    connections: 10_000,
    intervalMillis: 30_000,
    openMillis,
    rate: 100,
    threadRate: 2,
    seconds,
    patienceMillis,
    raised
  }
  // What the one with its defaults does is the same each time, and takes longer.
  const steps = entrantsIn(mode, entrants, ["thread-per-request", "2 loops", withDefaults]).map((entrant) => ({
    entrant: entrant.name,
    seconds: expectedSeconds(entrant, plan),
    ...onceIfThreads(entrant),
    ...(entrant.name === withDefaults && { rounds: 1 }),
    measure: () => measure(entrant, plan)
  }))
  return { id: "6", title: "10,000 slow connections", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
