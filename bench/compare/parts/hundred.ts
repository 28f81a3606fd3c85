/** Comparison 5: a hundred requests at once to each architecture, first for something that is ready, then for something that waits. */
import { commandOf, onceIfThreads, oneOfEach, startSeconds, warmUpOf } from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { runClient } from "../children.ts"
import type { BurstReport } from "../clients/burst.ts"
import type { Comparison, Mode } from "../contract.ts"
import { withServer } from "../server.ts"

export interface HundredPlan {
  readonly requests: number
  readonly waitMillis: number
  readonly patienceMillis: number
}

export interface Burst {
  readonly succeeded: number
  /** Of good answers, from when their clients came; `null` if there were none. */
  readonly meanMillis: number | null
  /** Until the last good answer. */
  readonly totalMillis: number | null
  readonly perSecond: number
}

export interface Hundred {
  readonly fast: Burst
  readonly sleep: Burst
  readonly fell: string | null
}

const burst = async (port: number, path: string, { patienceMillis, requests }: HundredPlan): Promise<Burst> => {
  const options = { port, requests: [{ path, at: 0, count: requests }], patienceMillis }
  const { outcomes } = await runClient<BurstReport>("burst", options, patienceMillis / 1000 + 20)
  const times = outcomes.filter(({ status }) => status === 200).map(({ ended }) => ended)
  if (times.length === 0) return { succeeded: 0, meanMillis: null, totalMillis: null, perSecond: 0 }
  const totalMillis = Math.max(...times)
  return {
    succeeded: times.length,
    meanMillis: times.reduce((sum, time) => sum + time, 0) / times.length,
    totalMillis,
    perSecond: (1000 * times.length) / totalMillis
  }
}

const measure = (entrant: Entrant, plan: HundredPlan): Promise<Hundred> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    const fast = await burst(server.port, "/fast", plan)
    const sleep = await burst(server.port, `/sleep?ms=${plan.waitMillis}`, plan)
    return { fast, sleep, fell: server.fell }
  })

/** With a thread each it is the patience that ends it, or nearly. */
const expectedSeconds = (entrant: Entrant, { patienceMillis, requests, waitMillis }: HundredPlan): number => {
  const { architecture } = entrant
  const millis =
    architecture === "sequential"
      ? requests * waitMillis
      : architecture === "thread-per-request"
        ? patienceMillis + waitMillis
        : waitMillis
  return 1 + startSeconds(entrant) + millis / 1000
}

export const hundred = (mode: Mode): Comparison<HundredPlan, Hundred> => {
  const waitMillis = mode === "quick" ? 20 : 100
  const plan = { requests: 100, waitMillis, patienceMillis: mode === "quick" ? 2000 : 30_000 }
  const steps = oneOfEach.map((entrant) => ({
    entrant: entrant.name,
    seconds: expectedSeconds(entrant, plan),
    ...onceIfThreads(entrant),
    measure: () => measure(entrant, plan)
  }))
  return { id: "5", title: "100 requests", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
