/**
 * `npm run bench`: lists the scenarios. `npm run bench -- <scenario> …`: runs them one after the other, each in a process of its own. What
 * follows `overload` is for it: `npm run bench -- overload quick cpu ours`.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { writeTables } from "./writeTables.ts"

const scenarios: Readonly<Record<string, string>> = {
  waiters: "Bulkhead beside Effect's Semaphore: CPU time by number of waiters",
  offload: "Offload beside Piscina, tinypool, workerpool, poolifier and Effect's RPC workers",
  connections: "memory of 10,000 stuck connections, and of clients that do not read, beside node:http and stock",
  hello: "the same app on our server layer and on the stock one: CPU per request",
  multiloop: "one and two event loops on one port, beside node:cluster: CPU per request",
  balancing: "the ways to choose a thread for a task, on a mix of short and long ones: latency",
  simulation: "the limit algorithms in simulated overloads: goodput, p99, refusals, time to converge",
  metricstream: "MetricStream under 2,000 events a second: answers, latency, CPU per request",
  "metricstream-cost": "what a request costs MetricStream, stage by stage: CPU",
  overload: "up to ten times what a server can carry, beside Fastify, under-pressure, Piscina and stock: useful answers"
}

const args = process.argv.slice(2)
const own = args.includes("overload") ? args.indexOf("overload") + 1 : args.length
const asksForHelp = args.includes("--help") || args.includes("-h")
const wanted = asksForHelp ? [] : args.slice(0, own)
const unknown = wanted.filter((name) => scenarios[name] === undefined)
if (wanted.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`unknown scenario: ${unknown.join(", ")}`)
  console.log("npm run bench -- <scenario> …\n")
  for (const [name, what] of Object.entries(scenarios)) console.log(`  ${name.padEnd(18)} ${what}`)
  process.exit(unknown.length > 0 ? 1 : 0)
}

for (const name of wanted) {
  console.log(`\n=== ${name}`)
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url))
  const rest = name === "overload" ? args.slice(own) : []
  const { status } = spawnSync(process.execPath, ["--expose-gc", file, ...rest], { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
  writeTables([name])
}
