/**
 * What a request costs MetricStream, stage by stage: `metricstream/cost.ts` says how each stage is measured. The servers run one after the other,
 * rounds interleaved, each in a process of its own, under the same load: single events from 100 keep-alive clients, open loop, from a process of
 * its own. The time counts after some seconds, when the code is compiled. A rate may be given: `node bench/metricstream-cost.ts 5000`.
 */
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { LoadOptions } from "./load/openLoop.ts"
import type { Costs, CostResult, Stage } from "./metricstream/cost.ts"
import { stages } from "./metricstream/cost.ts"
import { costChart } from "./metricstream/costChart.ts"
import { machine, watchSteal } from "./support/machine.ts"
import { ServerProcess } from "./support/serverProcess.ts"
import { spread } from "./support/statistics.ts"
import { version } from "./support/version.ts"

const rate = Number(process.argv[2] ?? 2000)
const [rounds, warmUp, seconds, clients] = [3, 4, 5, 100]
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const run = promisify(execFile)

const offer = async (port: number, folder: string, seconds: number): Promise<void> => {
  const options: LoadOptions = {
    host: "127.0.0.1",
    port,
    path: "/events",
    rate,
    seconds,
    connections: clients,
    patienceMillis: 5000,
    acknowledgedFile: join(folder, "acknowledged.json")
  }
  const { stdout } = await run(process.execPath, [path("load/openLoop.ts"), JSON.stringify(options)])
  const { offered, statuses } = JSON.parse(stdout) as { offered: number; statuses: Record<string, number> }
  // A refused request costs less: the figures would be too good.
  if ((statuses[202] ?? 0) < 0.99 * offered) console.warn(`not all requests were taken: ${JSON.stringify(statuses)}`)
}

/** CPU seconds of each thread of a process, by its name. */
const threadSeconds = (pid: number): ReadonlyMap<string, number> => {
  const tasks = `/proc/${pid}/task`
  const times = new Map<string, number>()
  for (const id of readdirSync(tasks)) {
    const name = readFileSync(`${tasks}/${id}/comm`, "utf8").trim()
    const nanos = Number(readFileSync(`${tasks}/${id}/schedstat`, "utf8").split(" ", 1)[0])
    times.set(name, (times.get(name) ?? 0) + nanos / 1e9)
  }
  return times
}

/** Microseconds that a server takes for a request, in all and by its threads, and what it tells when it is asked. */
const measureServer = async <A>(server: ServerProcess, folder: string, ask: () => Promise<A>) => {
  await offer(server.port, folder, warmUp)
  const [before, threads] = [server.preciseCpuSeconds(), threadSeconds(server.pid)]
  const askedBefore = await ask()
  await offer(server.port, folder, seconds)
  const micros = (cpu: number) => (1e6 * cpu) / (rate * seconds)
  const cost = micros(server.preciseCpuSeconds() - before)
  const after = threadSeconds(server.pid)
  const askedAfter = await ask()
  await server.stop()
  const thread = (start: string) =>
    micros(
      [...after].reduce((sum, [name, cpu]) => (name.startsWith(start) ? sum + cpu - (threads.get(name) ?? 0) : sum), 0)
    )
  return { cost, thread, askedBefore, askedAfter }
}

const measureRung = (name: string, folder: string) =>
  ServerProcess.start(path("metricstream/servers.ts"), [name], {}).then((server) =>
    measureServer(server, folder, async () =>
      name === "socket" ? server.ask<{ readonly micros: number; readonly writes: number }>("writes") : undefined
    )
  )

const measureWhole = async (folder: string) => {
  const server = await ServerProcess.start(path("../packages/examples/src/metricstream/main.ts"), [], {
    PORT: "0",
    METRICSTREAM_DB: join(folder, "whole.db"),
    METRICSTREAM_SAMPLER: "off",
    METRICSTREAM_RATE_LIMIT: "1000000"
  })
  const groups = async () => {
    const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text()
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? 0)
    return { groups: value("metricstream_group_events_count"), events: value("metricstream_group_events_sum") }
  }
  const { askedAfter, askedBefore, cost, thread } = await measureServer(server, folder, groups)
  const group = (askedAfter.events - askedBefore.events) / (askedAfter.groups - askedBefore.groups)
  return { cost, eventLoop: thread("MainThread"), storage: thread("storage"), group }
}

const measureRound = async () => {
  const folder = mkdtempSync(join(tmpdir(), "spillway-bench-"))
  try {
    const socket = await measureRung("socket", folder)
    const http = await measureRung("http", folder)
    const json = await measureRung("json", folder)
    const whole = await measureWhole(folder)
    const group = Math.max(1, Math.round(whole.group))
    const { stdout } = await run(process.execPath, [
      path("metricstream/stages.ts"),
      join(folder, "stages.db"),
      String(group)
    ])
    const alone = JSON.parse(stdout) as Pick<Costs, "rateLimit" | "json" | "validate" | "store">
    const [from, to] = [socket.askedBefore!, socket.askedAfter!]
    const write = (to.micros - from.micros) / (to.writes - from.writes)
    const costs: Costs = {
      ...alone,
      read: socket.cost - write,
      parse: http.cost - socket.cost,
      server: json.cost - http.cost - alone.json,
      write
    }
    return { costs, whole }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const [code, steal] = [version(), watchSteal()]
const results: Array<Awaited<ReturnType<typeof measureRound>>> = []
const names = Object.keys(stages) as Array<Stage>
const sumOf = (costs: Costs) => names.reduce((sum, stage) => sum + costs[stage], 0)
for (let round = 1; round <= rounds; round++) {
  const result = await measureRound()
  results.push(result)
  const each = names.map((stage) => `${stage} ${result.costs[stage].toFixed(1)}`).join(", ")
  console.log(
    `round ${round}: ${each}; sum ${sumOf(result.costs).toFixed(0)}, whole ${result.whole.cost.toFixed(0)} us`
  )
}

const median = (values: ReadonlyArray<number>) => spread(values).median
const result: CostResult = {
  scenario: "metricstream-cost",
  measuredAt: new Date().toISOString(),
  version: code,
  rate,
  seconds,
  rounds,
  machine: machine(),
  stealPercent: steal(),
  stages: Object.fromEntries(names.map((stage) => [stage, median(results.map(({ costs }) => costs[stage]))])) as Costs,
  sum: spread(results.map(({ costs }) => sumOf(costs))),
  whole: spread(results.map(({ whole }) => whole.cost)),
  wholeThreads: {
    eventLoop: median(results.map(({ whole }) => whole.eventLoop)),
    storage: median(results.map(({ whole }) => whole.storage))
  },
  group: median(results.map(({ whole }) => whole.group)),
  claimed: { work: 34, threadPerRequest: 834, pool: 45 }
}

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })
writeFileSync(new URL("metricstream-cost.json", folder), `${JSON.stringify(result, undefined, 2)}\n`)
writeFileSync(new URL("metricstream-cost.svg", folder), costChart(result))
console.log(
  `median: the stages ${result.sum.median.toFixed(0)} us, the whole server ${result.whole.median.toFixed(0)} us a request`
)
