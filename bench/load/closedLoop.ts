/**
 * Closed-loop load in a process of its own: every connection sends its next request when it has its answer. For CPU per request at full
 * speed, not for latency.
 *
 * `node closedLoop.ts '<LoadOptions as JSON>'` prints a `LoadReport` as JSON.
 */
import { Connection } from "./connection.ts"

export interface LoadOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
}

export interface LoadReport {
  readonly answers: number
  /** Answers that were not 200. */
  readonly failures: number
  readonly seconds: number
}

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions
const request = Buffer.from(`GET ${options.path} HTTP/1.1\r\nHost: ${options.host}:${options.port}\r\n\r\n`)
const start = performance.now()
let [answers, failures, running] = [0, 0, options.connections]

const finish = () => {
  const report: LoadReport = { answers, failures, seconds: (performance.now() - start) / 1000 }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
}

const loop = (connection: Connection): void =>
  connection.send(request, (status) => {
    if (status === 200) answers++
    else failures++
    if (performance.now() - start < options.seconds * 1000) return loop(connection)
    if (--running === 0) finish()
  })

for (let i = 0; i < options.connections; i++) loop(new Connection(options))
