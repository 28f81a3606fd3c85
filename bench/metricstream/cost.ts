/** What a request costs MetricStream, stage by stage: the shape of the result, shared by the scenario, its table and its chart. */
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

/** The stages of a request, in its order, and how each is measured. */
export const stages = {
  read: "the bytes of the request: a bare socket server, without its writes",
  parse: "HTTP: `node:http` with the body read, less the bare socket server",
  server:
    "what Spillway adds: connection limits, door, deadline, fiber, router, body: its server with a route that decodes any JSON, less `node:http` and the JSON",
  rateLimit: "the quota of the client, looked at and taken",
  json: "UTF-8 and `JSON.parse`",
  validate: "the schema of an event or of a batch",
  store: "into a group, to the storage thread, its share of the transaction and of the sync, and back",
  write: "the bytes of the answer: the writes of the bare socket server"
} as const

export type Stage = keyof typeof stages

/** Microseconds of CPU time, of all threads of the server. */
export type Costs = Readonly<Record<Stage, number>>

export interface CostResult {
  readonly scenario: "metricstream-cost"
  /** When it ended, as an ISO date, and the version of the code; neither was always written down. */
  readonly measuredAt?: string | undefined
  readonly version?: string | undefined
  /** Requests a second that were offered, one event each. */
  readonly rate: number
  readonly seconds: number
  readonly rounds: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  /** The medians of the rounds. */
  readonly stages: Costs
  /** The sum of the stages. */
  readonly sum: Spread
  /** What the whole server took for a request, all its threads, under the same load. */
  readonly whole: Spread
  /** The part of it that the event loop's thread took, and the storage thread; the rest is the engine's: compiler and garbage collector. */
  readonly wholeThreads: { readonly eventLoop: number; readonly storage: number }
  /** Events of a group, on average. */
  readonly group: number
  /** What the documents of the project claim: 34 us of work; with a thread for each request, and with a pool of threads. */
  readonly claimed: { readonly work: number; readonly threadPerRequest: number; readonly pool: number }
}
