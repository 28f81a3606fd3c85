/**
 * Comparison 3: one client asks for something slow, two others for something fast, 100 ms apart. Who waits how long? Once with a slow
 * handler that waits, and once with one that computes.
 */
import { commandOf, oneOfEach, startSeconds, warmUpOf } from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { runClient } from "../children.ts"
import type { BurstOptions, BurstReport, Outcome } from "../clients/burst.ts"
import type { Comparison, Mode } from "../contract.ts"
import { withServer } from "../server.ts"

export interface TimelinePlan {
  readonly sleepMillis: number
  /** CPU time; well below the deadline of 1 s that offloaded tasks have. */
  readonly cpuMillis: number
  /** Between the clients. */
  readonly gapMillis: number
}

export interface Timeline {
  /** One client that asks for `/fast` while nobody else is there. */
  readonly alone: ReadonlyArray<Outcome>
  /** The three clients in the order in which they came. */
  readonly sleep: ReadonlyArray<Outcome>
  readonly cpu: ReadonlyArray<Outcome>
  readonly fell: string | null
}

const come = async (port: number, paths: ReadonlyArray<string>, patienceMillis: number, gap: number) => {
  const requests = paths.map((path, i) => ({ path, at: i * gap, count: 1 }))
  const options: BurstOptions = { port, requests, patienceMillis }
  return (await runClient<BurstReport>("burst", options, patienceMillis / 1000 + 20)).outcomes
}

const three = (port: number, slow: string, slowMillis: number, gap: number): Promise<ReadonlyArray<Outcome>> =>
  come(port, [slow, "/fast", "/fast"], 3 * slowMillis + 5000, gap)

const measure = (entrant: Entrant, { cpuMillis, gapMillis, sleepMillis }: TimelinePlan): Promise<Timeline> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    await server.warm(8, "/cpu?ms=1")
    const alone = await come(server.port, ["/fast"], 5000, gapMillis)
    const sleep = await three(server.port, `/sleep?ms=${sleepMillis}`, sleepMillis, gapMillis)
    const cpu = await three(server.port, `/cpu?ms=${cpuMillis}`, cpuMillis, gapMillis)
    return { alone, sleep, cpu, fell: server.fell }
  })

export const timeline = (mode: Mode): Comparison<TimelinePlan, Timeline> => {
  const [sleepMillis, cpuMillis] = mode === "quick" ? [600, 500] : [2000, 500]
  const plan = { sleepMillis, cpuMillis, gapMillis: 100 }
  const steps = oneOfEach.map((entrant) => ({
    entrant: entrant.name,
    seconds: 1.5 + startSeconds(entrant) + (sleepMillis + cpuMillis) / 1000,
    measure: () => measure(entrant, plan)
  }))
  return { id: "3", title: "three clients", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
