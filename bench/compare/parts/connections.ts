/**
 * Comparison 4: 10,000 clients connect in the same moment, and each asks for something that waits a second. How many get their answer, how
 * long does it take, and what does it cost?
 */
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
import { runClient } from "../children.ts"
import type { BurstReport, Outcome } from "../clients/burst.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { withServer } from "../server.ts"

export interface ConnectionsPlan {
  readonly connections: number
  readonly waitMillis: number
  readonly patienceMillis: number
  /** What the servers were told that take it. */
  readonly raised: Readonly<Record<string, string>>
}

export interface Connections {
  /** Answers 200 within the patience. */
  readonly succeeded: number
  /** Answers 503. */
  readonly refused: number
  /** Clients without an answer, by reason. */
  readonly failed: Readonly<Record<string, number>>
  /** Connections that never opened; their reasons are among those above. */
  readonly neverOpen: number
  /** When the last answer 200 came, and when the last client had ended; from when they came. */
  readonly lastAnswerMillis: number | null
  readonly totalMillis: number
  readonly idle: Footprint
  readonly peak: Footprint
  readonly fell: string | null
}

/** As many as this comparison has clients, so that what is compared is not a setting. */
const raised = {
  SPILLWAY_HTTP_MAX_CONNECTIONS: "20000",
  SPILLWAY_HTTP_MAX_CONCURRENT: "20000",
  SPILLWAY_HTTP_MAX_QUEUED: "20000",
  SPILLWAY_HTTP_MAX_QUEUE_WAIT: "30 seconds",
  SPILLWAY_HTTP_QUEUE_TARGET: "Infinity",
  SPILLWAY_HTTP_BACKLOG: "4096"
}

const entrants: ReadonlyArray<Entrant> = [
  plain("sequential"),
  plain("thread-per-request"),
  pool(4),
  plain("event-driven", raised),
  plain("hybrid", raised),
  loops(2, raised),
  { name: withDefaults, architecture: "hybrid" }
]

const countBy = (reasons: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}

const summarise = (outcomes: ReadonlyArray<Outcome>) => {
  const answers = outcomes.filter(({ status }) => status === 200)
  const others = outcomes.filter(({ status }) => status !== 200 && status !== 503)
  const last = (of: ReadonlyArray<Outcome>) => of.reduce((latest, { ended }) => Math.max(latest, ended), 0)
  return {
    succeeded: answers.length,
    refused: outcomes.filter(({ status }) => status === 503).length,
    failed: countBy(others.map(({ reason, status }) => reason ?? String(status))),
    neverOpen: outcomes.filter(({ connected }) => connected === null).length,
    lastAnswerMillis: answers.length === 0 ? null : last(answers),
    totalMillis: last(outcomes)
  }
}

const measure = (entrant: Entrant, plan: ConnectionsPlan): Promise<Connections> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    const idle = server.footprint()
    const requests = [{ path: `/sleep?ms=${plan.waitMillis}`, at: 0, count: plan.connections }]
    const options = { port: server.port, requests, patienceMillis: plan.patienceMillis }
    const { outcomes } = await runClient<BurstReport>("burst", options, plan.patienceMillis / 1000 + 60)
    return { ...summarise(outcomes), idle, peak: server.peak, fell: server.fell }
  })

/** One at a time, or four, or as many threads as can be made: the patience ends it. */
const isPatient = ({ architecture }: Entrant) =>
  architecture === "sequential" || architecture === "thread-pool" || architecture === "thread-per-request"

export const connections = (mode: Mode): Comparison<ConnectionsPlan, Connections> => {
  const patienceMillis = mode === "quick" ? 4000 : 8000
  const plan = { connections: 10_000, waitMillis: 1000, patienceMillis, raised }
  const steps = entrantsIn(mode, entrants, ["2 loops", withDefaults]).map((entrant) => ({
    entrant: entrant.name,
    seconds: 1.5 + startSeconds(entrant) + (isPatient(entrant) ? patienceMillis / 1000 : 3),
    ...onceIfThreads(entrant),
    measure: () => measure(entrant, plan)
  }))
  return { id: "4", title: "10,000 at once", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
