/** Fastify alone, with under-pressure, or with Piscina behind its offloaded route. */
import underPressure from "@fastify/under-pressure"
import { fastify } from "fastify"
import type { FastifyInstance, FastifyReply } from "fastify"
import { Piscina } from "piscina"
import { ask } from "../dependency.ts"
import { burn } from "../work.ts"

interface Query {
  readonly Querystring: {
    readonly ms: string
    readonly after?: string
    readonly offload?: string
    readonly unbounded?: string
  }
}

const filename = new URL("../workers/piscina.worker.ts", import.meta.url).href
const isFull = (error: unknown) => error instanceof Error && error.message === "Task queue is at limit"

const refuse = (reply: FastifyReply) => reply.code(503).header("retry-after", "1").send("busy")

/** One thread, and a queue of 50. What the pool does not take is refused as an overloaded server should: 503. */
const addOffload = (app: FastifyInstance, changed: object): void => {
  const one = { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 1, maxQueue: 50 }
  const pool = new Piscina({ filename, ...one, ...changed })
  app.get<Query>("/cpu", async ({ query }, reply) => {
    if (query.offload === undefined) return String(burn(Number(query.ms)))
    try {
      return String(await pool.run({ millis: Number(query.ms) }, { name: "burn" }))
    } catch (error) {
      if (!isFull(error)) throw error
      return refuse(reply)
    }
  })
}

const addCpu = (app: FastifyInstance): void => {
  app.get<Query>("/cpu", ({ query: { after, ms } }, reply) => {
    const run = () => void reply.send(String(burn(Number(ms))))
    if (after === undefined) run()
    else setTimeout(run, Number(after))
  })
}

/** `options`: of under-pressure, instead of `best`, or of Piscina, as JSON. */
export const run = async (kind: "fastify" | "under-pressure" | "piscina", options?: string): Promise<void> => {
  const app = fastify()
  if (kind === "under-pressure") await app.register(underPressure, options === undefined ? best : JSON.parse(options))
  app.get("/hello", (_, reply) => void reply.send("Hello!"))
  app.get("/fast", (_, reply) => void reply.send("fast"))
  app.get<Query>("/sleep", ({ query }, reply) => {
    const leave = ask(Number(query.ms), () => void reply.send("slept"), query.unbounded !== undefined)
    if (leave === undefined) refuse(reply)
  })
  if (kind === "piscina") addOffload(app, JSON.parse(options ?? "{}") as object)
  else addCpu(app)
  process.stdout.write(`${await app.listen({ port: 0, host: "127.0.0.1" })}\n`)
}

/**
 * What `overload tune under-pressure` finds best: most useful answers at the worse of 2 and 5 times capacity, then the lowest p99. It compares
 * the loop's mean delay once in `sampleInterval`, and refuses everything or nothing until the next time: with the default of a second it does
 * either for as long as clients wait, and with short intervals or delays it refuses everything after each burst. The loop's utilization tells
 * busy from idle, but not late from busy: it costs useful answers at twice the capacity, though their p99 is lower.
 */
const best = { maxEventLoopDelay: 200, sampleInterval: 100 }
