/**
 * Open-loop load in a process of its own: requests are due at fixed times whatever the server does, and latency counts from the time at
 * which a request was due, so that a slow server cannot slow its own measurement down (no coordinated omission).
 *
 * `node openLoop.ts '<LoadOptions as JSON>'` prints a `LoadReport` as JSON. Each request posts one event
 * `{ name: "bench", value: <its number> }`.
 */
import { writeFileSync } from "node:fs"
import { quantile } from "../support/statistics.ts"
import { Connection } from "./connection.ts"

export interface LoadOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
  readonly connections: number
  /** How long after the last due time answers are waited for. */
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
  /** CPU time of the load process, in seconds. */
  readonly cpuSeconds: number
}

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions
const offered = options.rate * options.seconds
const connections = Array.from({ length: options.connections }, () => new Connection(options))
const idle = [...connections]
const waiting: Array<number> = []
const latencies: Array<number> = []
const acknowledged: Array<number> = []
const statuses: Record<string, number> = {}
let [next, answered, inTime] = [0, 0, 0]
const start = performance.now() + 200
const dueAt = (n: number) => start + (n * 1000) / options.rate

const request = (n: number) => {
  const body = `{"name":"bench","value":${n}}`
  const head = `POST ${options.path} HTTP/1.1\r\nHost: ${options.host}:${options.port}\r\nContent-Type: application/json\r\n`
  return Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
}

const send = (connection: Connection, n: number) =>
  connection.send(request(n), (status) => {
    const latency = performance.now() - dueAt(n)
    latencies.push(latency)
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === 202) {
      acknowledged.push(n)
      if (latency <= 1000) inTime++
    }
    answered++
    const due = waiting.shift()
    if (due === undefined) idle.push(connection)
    else send(connection, due)
  })

const tick = () => {
  const now = performance.now()
  for (; next < offered && dueAt(next) <= now; next++) {
    const connection = idle.shift()
    if (connection === undefined) waiting.push(next)
    else send(connection, next)
  }
  const over = answered === offered || now > dueAt(offered) + options.patienceMillis
  if (over) return report()
  setTimeout(tick, 1)
}

const report = () => {
  for (const connection of connections) connection.end()
  const sorted = latencies.toSorted((a, b) => a - b)
  const cpu = process.cpuUsage()
  if (answered < offered) statuses["none"] = offered - answered
  writeFileSync(options.acknowledgedFile, JSON.stringify(acknowledged))
  const result: LoadReport = {
    offered,
    statuses,
    inTime,
    latencyMillis: {
      p50: quantile(sorted, 0.5),
      p90: quantile(sorted, 0.9),
      p99: quantile(sorted, 0.99),
      max: sorted.at(-1) ?? NaN
    },
    cpuSeconds: (cpu.user + cpu.system) / 1e6
  }
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}

tick()
