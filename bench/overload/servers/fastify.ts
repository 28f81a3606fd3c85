/** Fastify alone, with under-pressure, or with Piscina behind its offloaded route. */
import { setTimeout as delay } from "node:timers/promises"
import underPressure from "@fastify/under-pressure"
import { fastify } from "fastify"
import type { FastifyInstance } from "fastify"
import { Piscina } from "piscina"
import { burn } from "../work.ts"

interface Query {
  readonly Querystring: { readonly ms: string; readonly offload?: string }
}

const filename = new URL("../workers/piscina.worker.ts", import.meta.url).href
const isFull = (error: unknown) => error instanceof Error && error.message === "Task queue is at limit"

/** One thread, and a queue of 50. What the pool does not take is refused as an overloaded server should: 503. */
const addOffload = (app: FastifyInstance): void => {
  const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 1, maxQueue: 50 })
  app.get<Query>("/cpu", async ({ query }, reply) => {
    if (query.offload === undefined) return String(burn(Number(query.ms)))
    try {
      return String(await pool.run({ millis: Number(query.ms) }, { name: "burn" }))
    } catch (error) {
      if (!isFull(error)) throw error
      return reply.code(503).header("retry-after", "1").send("busy")
    }
  })
}

const addCpu = (app: FastifyInstance): void => {
  app.get<Query>("/cpu", ({ query }, reply) => void reply.send(String(burn(Number(query.ms)))))
}

/** `options`: of under-pressure, as JSON. */
export const run = async (kind: "fastify" | "under-pressure" | "piscina", options?: string): Promise<void> => {
  const app = fastify()
  if (kind === "under-pressure") await app.register(underPressure, { ...best, ...JSON.parse(options ?? "{}") })
  app.get("/hello", (_, reply) => void reply.send("Hello!"))
  app.get("/fast", (_, reply) => void reply.send("fast"))
  app.get<Query>("/sleep", async ({ query }) => {
    await delay(Number(query.ms))
    return "slept"
  })
  if (kind === "piscina") addOffload(app)
  else addCpu(app)
  process.stdout.write(`${await app.listen({ port: 0, host: "127.0.0.1" })}\n`)
}

/**
 * The loop's mean delay is its only sign of this overload. It compares it once in `sampleInterval` and then refuses everything or nothing
 * until the next time, so with its default of a second it would do either for whole seconds.
 */
const best = { maxEventLoopDelay: 100, sampleInterval: 100 }
