/** Comparison 2: ten clients come at once, and what each asks for waits. How long until the last has its answer? */
import { commandOf, oneOfEach, startSeconds, warmUpOf } from "../architectures.ts"
import type { Entrant } from "../architectures.ts"
import { runClient } from "../children.ts"
import type { BurstReport } from "../clients/burst.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { withServer } from "../server.ts"

export interface WaitingPlan {
  readonly clients: number
  readonly waitMillis: number
  /** What the times of the claims are divided by. */
  readonly factor: number
}

export interface Waiting {
  readonly answered: number
  /** When the first and the last client had its answer, from when they came; `null` if none had. */
  readonly firstMillis: number | null
  readonly lastMillis: number | null
  readonly peak: Footprint
  readonly fell: string | null
}

/** Waiting one after the other, and then some. */
const patienceMillis = ({ clients, waitMillis }: WaitingPlan) => 1.5 * clients * waitMillis + 2000

const measure = (entrant: Entrant, plan: WaitingPlan): Promise<Waiting> =>
  withServer(commandOf(entrant), async (server) => {
    await server.warm(warmUpOf(entrant))
    const requests = [{ path: `/sleep?ms=${plan.waitMillis}`, at: 0, count: plan.clients }]
    const patience = patienceMillis(plan)
    const options = { port: server.port, requests, patienceMillis: patience }
    const { outcomes } = await runClient<BurstReport>("burst", options, patience / 1000 + 20)
    const ends = outcomes.filter(({ status }) => status === 200).map(({ ended }) => ended)
    const [first, last] = ends.length === 0 ? [null, null] : [Math.min(...ends), Math.max(...ends)]
    return { answered: ends.length, firstMillis: first, lastMillis: last, peak: server.peak, fell: server.fell }
  })

const expectedSeconds = (entrant: Entrant, { clients, waitMillis }: WaitingPlan): number => {
  const { architecture, name } = entrant
  const turns = architecture === "sequential" ? clients : name === "pool of 4" ? Math.ceil(clients / 4) : 1
  return 0.5 + startSeconds(entrant) + (turns * waitMillis) / 1000
}

export const waiting = (mode: Mode): Comparison<WaitingPlan, Waiting> => {
  const factor = mode === "quick" ? 10 : 1
  const plan = { clients: 10, waitMillis: 2000 / factor, factor }
  const steps = oneOfEach.map((entrant) => ({
    entrant: entrant.name,
    seconds: expectedSeconds(entrant, plan),
    // It takes the sum of all waits, each time.
    ...(entrant.architecture === "sequential" && { rounds: 1 }),
    measure: () => measure(entrant, plan)
  }))
  return { id: "2", title: "ten clients that wait", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
