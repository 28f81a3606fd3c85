/** What is offered in steps, and which servers with which settings take part. */
import { sleepLimit, slots } from "../dependency.ts"
import type { Entrant } from "../run.ts"
import type { Changed } from "../servers/ours.ts"
import { offloadedPatienceMillis, patienceMillis } from "../settings.ts"
import type { Clients } from "../streams.ts"

export interface Kind {
  readonly name: "cpu" | "strangers" | "rendering" | "offloaded" | "sleep" | "unbounded"
  readonly path: string
  readonly entrants: ReadonlyArray<Entrant>
  readonly patienceMillis: number
  readonly clients: Clients
  /** Connections of the closed loop: as few as keep the server busy. */
  readonly callers: number
  /** Requests a second for `/fast` beside it. */
  readonly fast: number
}

/** Ours, changed by `options` of JSON. */
const ours = (setting: string, options: Changed = {}, isJudged = false): Entrant => ({
  name: `ours, ${setting}`,
  server: "ours",
  options,
  isJudged
})

/** The one that the documentation recommends for what is on the loop: nothing is set. */
export const oursByDefault = ours("defaults", {}, true)

export const fastifyAlone: Entrant = { name: "fastify", server: "fastify" }
export const underPressure: Entrant = { name: "under-pressure, tuned", server: "under-pressure" }
export const stock: Entrant = { name: "stock", server: "stock" }

const onLoop = [oursByDefault, fastifyAlone, underPressure, stock]
const oursLimited = ours(`maxConcurrent ${sleepLimit}`, { server: { maxConcurrent: sleepLimit } }, true)

const cpu = { path: "/cpu?ms=5", entrants: onLoop, patienceMillis, callers: 4, fast: 0 }
const sleep = { patienceMillis, clients: "kept", callers: slots + 4, fast: 0 } as const

export const kinds = {
  cpu: { ...cpu, name: "cpu", clients: "kept" },
  strangers: { ...cpu, name: "strangers", clients: "own" },
  rendering: {
    name: "rendering",
    path: "/cpu?ms=5&after=100",
    entrants: onLoop,
    patienceMillis,
    clients: "kept",
    callers: 30,
    fast: 0
  },
  offloaded: {
    name: "offloaded",
    path: "/cpu?ms=20&offload",
    entrants: [
      ours("codel", { offload: { codel: {} } }, true),
      ours("defaults"),
      { name: "piscina, queue of 50", server: "piscina" },
      stock
    ],
    patienceMillis: offloadedPatienceMillis,
    clients: "kept",
    callers: 3,
    fast: 100
  },
  sleep: {
    ...sleep,
    name: "sleep",
    path: "/sleep?ms=100",
    entrants: [oursLimited, ours("defaults"), fastifyAlone, underPressure, stock]
  },
  unbounded: {
    ...sleep,
    name: "unbounded",
    path: "/sleep?ms=100&unbounded",
    entrants: [oursLimited, ours("adaptive limit", { server: { concurrencyLimit: "adaptive" } }), ours("defaults")]
  }
} as const satisfies Record<Kind["name"], Kind>
