/**
 * MetricStream as `npm start` runs it (without its sampler), on a database of its own, under 2,000 single events a second from 100
 * keep-alive clients for 10 s. The load comes from a process of its own, open loop. Afterwards every acknowledged event is looked up in
 * the database. An offered rate may be given: `node bench/metricstream.ts 5000`.
 */
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { LoadOptions, LoadReport } from "./load/openLoop.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { ServerProcess } from "./support/serverProcess.ts"
import { spread } from "./support/statistics.ts"

const rate = Number(process.argv[2] ?? 2000)
const [seconds, clients, rounds] = [10, 100, 3]
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

const startServer = (database: string) =>
  ServerProcess.start(path("../packages/examples/src/metricstream/main.ts"), [], {
    PORT: "0",
    METRICSTREAM_DB: database,
    METRICSTREAM_SAMPLER: "off",
    METRICSTREAM_RATE_LIMIT: "1000000"
  })

const offer = async (options: LoadOptions): Promise<LoadReport> => {
  const { stdout } = await promisify(execFile)(process.execPath, [path("load/openLoop.ts"), JSON.stringify(options)])
  return JSON.parse(stdout) as LoadReport
}

/** How many of the acknowledged events the database does not hold exactly once. */
const countMissing = (database: string, acknowledged: ReadonlyArray<number>): number => {
  const db = new DatabaseSync(database, { readOnly: true })
  const rows = db
    .prepare("SELECT value FROM events JOIN series ON series.id = events.series_id WHERE name = 'bench'")
    .all()
  db.close()
  const times = new Map<number, number>()
  for (const { value } of rows) times.set(Number(value), (times.get(Number(value)) ?? 0) + 1)
  return acknowledged.filter((n) => times.get(n) !== 1).length
}

const measure = async () => {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-"))
  const [database, acknowledgedFile] = [join(folder, "metrics.db"), join(folder, "acknowledged.json")]
  try {
    const server = await startServer(database)
    const steal = watchSteal()
    const before = server.cpuSeconds()
    const load = await offer({
      host: "127.0.0.1",
      port: server.port,
      path: "/events",
      rate,
      seconds,
      connections: clients,
      patienceMillis: 5000,
      acknowledgedFile
    })
    const serverCpu = server.cpuSeconds() - before
    const stealPercent = steal()
    const exitCode = await server.stop()
    const acknowledged = JSON.parse(readFileSync(acknowledgedFile, "utf8")) as ReadonlyArray<number>
    return {
      ...load,
      inTimePercent: (100 * load.inTime) / load.offered,
      acknowledged: acknowledged.length,
      missing: countMissing(database, acknowledged),
      serverCpuMicrosPerRequest: (1e6 * serverCpu) / load.offered,
      exitCode,
      stealPercent
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const results = []
for (let round = 1; round <= rounds; round++) {
  const result = await measure()
  results.push(result)
  const { p50, p99 } = result.latencyMillis
  console.log(
    `round ${round}: ${result.inTimePercent.toFixed(3)} % answered 202 within 1 s, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ` +
      `${result.serverCpuMicrosPerRequest.toFixed(0)} us CPU a request, ${result.missing} of ${result.acknowledged} acknowledged events missing, ` +
      `statuses ${JSON.stringify(result.statuses)}, steal ${result.stealPercent ?? "unknown"} %`
  )
}
const summary = {
  inTimePercent: spread(results.map((result) => result.inTimePercent)),
  p99Millis: spread(results.map((result) => result.latencyMillis.p99)),
  serverCpuMicrosPerRequest: spread(results.map((result) => result.serverCpuMicrosPerRequest))
}
console.log(`median: ${summary.inTimePercent.median.toFixed(3)} % in time (target at rate 2000: 99.9 %)`)

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
const report = { scenario: "metricstream", rate, seconds, clients, machine: machine(), summary, results }
writeFileSync(new URL("metricstream.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
