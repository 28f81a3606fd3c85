/**
 * Requests at fixed times whatever the server does, by the library's test kit. Latency counts from the time at which a request was due, also
 * where it had to wait for a free client, so that a slow server cannot slow its own measurement down (no coordinated omission).
 * `node openLoop.ts '<RateOptions as JSON>'` prints a `RateReport` as JSON.
 */
import { setTimeout as delay } from "node:timers/promises"
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import * as Effect from "effect/Effect"
import { quantile } from "../../support/statistics.ts"

export interface RateOptions {
  readonly port: number
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
  /** Clients, each with at most one connection and one request at a time. */
  readonly clients: number
  /** Whether each request has a new connection. */
  readonly connection: "keep-alive" | "new"
  readonly patienceMillis: number
  /** What each asks: GET of a path, or a POST of one event to it. */
  readonly path: string
  readonly event: boolean
  /** The status of a good answer. */
  readonly status: number
}

export interface RateReport {
  readonly offered: number
  /** Good answers within the patience, counted from when the request was due. */
  readonly answered: number
  readonly statuses: Readonly<Record<string, number>>
  readonly failures: OpenLoop.Failures
  /** Of good answers; `null` if there were none. */
  readonly latencyMillis: { readonly p50: number; readonly p99: number; readonly max: number } | null
  /** How late the load itself was: part of the latencies, and not the server's fault. */
  readonly lagMillis: OpenLoop.Report["lagMillis"]
  /** Requests that found all clients waiting. */
  readonly late: number
  /** How long it ran, from the first request to the last answer or the end of the last patience, and its CPU time meanwhile. */
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

const options = JSON.parse(process.argv[2]!) as RateOptions
const latencies: Array<number> = []

const request = (n: number) =>
  options.event
    ? {
        method: "POST",
        path: options.path,
        headers: { "Content-Type": "application/json" },
        body: `{"name":"compare","value":${n}}`
      }
    : { path: options.path }

const load = OpenLoop.run(
  { host: "127.0.0.1", port: options.port },
  {
    rate: options.rate,
    duration: options.seconds * 1000,
    connections: options.clients,
    connection: options.connection,
    patience: options.patienceMillis,
    request,
    onAnswer: (_, status, latency) => {
      if (status === options.status) latencies.push(latency)
    }
  }
)

await delay(200)
const [start, before] = [performance.now(), process.cpuUsage()]
const { failures, lagMillis, late, offered, statuses } = await Effect.runPromise(load)
const { system, user } = process.cpuUsage(before)
const wallSeconds = (performance.now() - start) / 1000
const sorted = latencies.toSorted((a, b) => a - b)
const report: RateReport = {
  offered,
  answered: sorted.length,
  statuses,
  failures,
  latencyMillis:
    sorted.length === 0
      ? null
      : { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted[sorted.length - 1]! },
  lagMillis,
  late,
  wallSeconds,
  cpuSeconds: (user + system) / 1e6
}
process.stdout.write(JSON.stringify(report), () => process.exit(0))
