/**
 * Open-loop load in a process of its own, by the library's test kit: requests are due at fixed times whatever the server does, and latency
 * counts from the time at which a request was due, so that a slow server cannot slow its own measurement down (no coordinated omission).
 *
 * `node openLoop.ts '<LoadOptions as JSON>'` prints a `LoadReport` as JSON. Each request posts one event
 * `{ name: "bench", value: <its number> }`.
 */
import { writeFileSync } from "node:fs"
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import * as Effect from "effect/Effect"
import { quantile } from "../support/statistics.ts"

export interface LoadOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
  readonly connections: number
  /** How long after its due time an answer is waited for. */
  readonly patienceMillis: number
  /** Where the numbers of the acknowledged events are written, as a JSON array. */
  readonly acknowledgedFile: string
}

export interface LoadReport {
  readonly offered: number
  /** Answers by status; `0` for broken connections, `none` for those that never came. */
  readonly statuses: Readonly<Record<string, number>>
  /** 202 within a second of the due time. */
  readonly inTime: number
  readonly latencyMillis: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number }
  /** How late the load noticed that a request was due: part of the latencies, and not the server's fault. */
  readonly lagMillis: OpenLoop.Report["lagMillis"]
  /** CPU time of the load process, in seconds. */
  readonly cpuSeconds: number
}

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions
const latencies: Array<number> = []
const acknowledged: Array<number> = []
let inTime = 0

const load = OpenLoop.run(options, {
  rate: options.rate,
  duration: options.seconds * 1000,
  connections: options.connections,
  patience: options.patienceMillis,
  request: (n) => ({
    method: "POST",
    path: options.path,
    headers: { "Content-Type": "application/json" },
    body: `{"name":"bench","value":${n}}`
  }),
  onAnswer: (n, status, latency) => {
    latencies.push(latency)
    if (status !== 202) return
    acknowledged.push(n)
    if (latency <= 1000) inTime++
  }
})

const { failures, lagMillis, offered, statuses } = await Effect.runPromise(Effect.delay(load, 200))
const { broken, malformed, notSent, refused, timedOut } = failures
const [lost, missing] = [broken + malformed + refused, notSent + timedOut]
const sorted = latencies.toSorted((a, b) => a - b)
const cpu = process.cpuUsage()
writeFileSync(options.acknowledgedFile, JSON.stringify(acknowledged))
const report: LoadReport = {
  offered,
  statuses: { ...statuses, ...(lost > 0 && { 0: lost }), ...(missing > 0 && { none: missing }) },
  inTime,
  latencyMillis: {
    p50: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? NaN
  },
  lagMillis,
  cpuSeconds: (cpu.user + cpu.system) / 1e6
}
process.stdout.write(`${JSON.stringify(report)}\n`)
