/**
 * Comparison 7: 100 clients post events at a fixed total rate. MetricStream on the hybrid server, which stores each event on the disk before
 * it answers, beside the same intake (parse, validate, answer) with a thread for each request and with a pool of 16, which store nothing.
 */
import { mkdirSync, mkdtempSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { commandOf, plain, pool } from "../architectures.ts"
import { keepFolder, removeFolder, runClient } from "../children.ts"
import type { RateOptions, RateReport } from "../clients/openLoop.ts"
import type { Comparison, Mode } from "../contract.ts"
import type { Footprint } from "../proc.ts"
import { Server } from "../server.ts"
import type { Command } from "../server.ts"

export interface IngestPlan {
  readonly rates: ReadonlyArray<number>
  readonly clients: number
  readonly seconds: number
  /** At 500 a second, before it counts. */
  readonly warmUpSeconds: number
  /** An answer that comes later, counted from when the request was due, is none. */
  readonly patienceMillis: number
}

export interface Ingest extends RateReport {
  readonly rate: number
  /** CPU seconds of the server a second, and for each good answer in microseconds; `null` if there was none. */
  readonly serverCores: number
  readonly cpuMicros: number | null
  /** CPU seconds of the load a second. */
  readonly loadCores: number
  readonly peak: Footprint
  readonly fell: string | null
}

export const servers = ["thread-per-request", "pool of 16", "MetricStream"] as const
export type ServerName = (typeof servers)[number]

/** Here threads can be made as fast as they are asked for, so that it shows what a request costs with one. No claim is about it. */
export const costRate = 2

/** Entrants are a server at a rate, so that a round meets them in turning order. */
export const entrantName = (server: ServerName, rate: number): string => `${server}, ${rate}/s`

const main = fileURLToPath(new URL("../../../packages/examples/src/metricstream/main.ts", import.meta.url))
const inRepository = fileURLToPath(new URL("../../../.data/", import.meta.url))
const tmpfs = 0x01021994

/** A folder on a disk: in memory a commit would cost nothing. */
const makeFolder = (): string => {
  const folder = statfsSync(tmpdir()).type === tmpfs ? inRepository : tmpdir()
  mkdirSync(folder, { recursive: true })
  return keepFolder(mkdtempSync(join(folder, "spillway-compare-")))
}

const commands: { readonly [K in ServerName]: (folder: string) => Command } = {
  "thread-per-request": () => commandOf(plain("thread-per-request")),
  "pool of 16": () => commandOf(pool(16, { ARCHITECTURE_MAX_QUEUED: "10000" })),
  // All clients have the same address, and so the same quota.
  MetricStream: (folder) => ({
    file: main,
    args: [],
    env: {
      PORT: "0",
      HOST: "127.0.0.1",
      METRICSTREAM_DB: join(folder, "metrics.db"),
      METRICSTREAM_SAMPLER: "off",
      METRICSTREAM_RATE_LIMIT: "1000000"
    }
  })
}

const optionsOf = (name: ServerName, port: number, rate: number, seconds: number, plan: IngestPlan): RateOptions => ({
  port,
  rate,
  seconds,
  clients: plan.clients,
  // The other two hold a thread from accept to close, and so serve one request a connection.
  connection: name === "MetricStream" ? "keep-alive" : "new",
  patienceMillis: plan.patienceMillis,
  path: "/events",
  event: true,
  status: 202
})

/** Code is compiled, and the first files are made, before it counts. A thread for each request of a burst would still be there then. */
const warmUp = (server: Server, name: ServerName, plan: IngestPlan): Promise<unknown> =>
  name === "thread-per-request"
    ? server.warm(16)
    : runClient<RateReport>("openLoop", optionsOf(name, server.port, 500, plan.warmUpSeconds, plan), 60)

const load = async (server: Server, name: ServerName, rate: number, plan: IngestPlan): Promise<Ingest> => {
  await warmUp(server, name, plan)
  const before = server.cpuSeconds()
  const report = await runClient<RateReport>("openLoop", optionsOf(name, server.port, rate, plan.seconds, plan), 120)
  const cpu = server.cpuSeconds() - before
  return {
    ...report,
    rate,
    serverCores: cpu / report.wallSeconds,
    cpuMicros: report.answered === 0 ? null : (1e6 * cpu) / report.answered,
    loadCores: report.cpuSeconds / report.wallSeconds,
    peak: server.peak,
    fell: server.fell
  }
}

const measure = async (name: ServerName, rate: number, plan: IngestPlan): Promise<Ingest> => {
  const folder = makeFolder()
  const server = await Server.start(commands[name](folder))
  try {
    return await load(server, name, rate, plan)
  } finally {
    await server.stop(name === "MetricStream" ? "SIGTERM" : "SIGKILL")
    removeFolder(folder)
  }
}

/** The costs are only of interest for threads; in quick mode threads meet the lowest rate, at which one kind of them fails already. */
const isMeasured = (mode: Mode, name: ServerName, rate: number): boolean =>
  rate === costRate ? name === "thread-per-request" : mode === "full" || name === "MetricStream" || rate === 500

const expectedSeconds: Readonly<Record<ServerName, number>> = {
  "thread-per-request": 4.5,
  "pool of 16": 6.5,
  MetricStream: 3
}

export const ingest = (mode: Mode): Comparison<IngestPlan, Ingest> => {
  const rates = [costRate, ...(mode === "quick" ? [500, 2000, 10_000] : [500, 1000, 2000, 5000, 10_000])]
  const plan = {
    rates,
    clients: 100,
    seconds: mode === "quick" ? 2 : 4,
    warmUpSeconds: 1,
    patienceMillis: 1000
  }
  const steps = rates.flatMap((rate) =>
    servers
      .filter((name) => isMeasured(mode, name, rate))
      .map((name) => ({
        entrant: entrantName(name, rate),
        seconds: plan.seconds + plan.warmUpSeconds + expectedSeconds[name],
        // A thread for each request is out of CPU at 500 a second already: beyond, a further round would show the same.
        ...(name === "thread-per-request" && rate > 500 && { rounds: 1 }),
        measure: () => measure(name, rate, plan)
      }))
  )
  return { id: "7", title: "MetricStream", rounds: mode === "quick" ? 1 : 3, plan, steps }
}
