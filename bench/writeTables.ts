/**
 * `node bench/writeTables.ts [scenario …]`: writes the tables of BENCHMARKS.md from `bench/results/*.json`, each between its markers. The
 * prose around them is written by hand. `npm run bench -- <scenario>` runs it after the scenario.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fillSection } from "./support/markdown.ts"
import { balancingTables } from "./tables/balancing.ts"
import { connectionsTables } from "./tables/connections.ts"
import { helloTables } from "./tables/hello.ts"
import { metricstreamTables } from "./tables/metricstream.ts"
import { metricstreamCostTables } from "./tables/metricstreamCost.ts"
import { multiloopTables } from "./tables/multiloop.ts"
import { offloadTables } from "./tables/offload.ts"
import { overloadTables } from "./tables/overload.ts"
import { waitersTables } from "./tables/waiters.ts"

// What a scenario has written is what its table reads; the types of the two are the same by the line that declares each.
const tables: Readonly<Record<string, (report: never) => string>> = {
  waiters: waitersTables,
  connections: connectionsTables,
  hello: helloTables,
  multiloop: multiloopTables,
  balancing: balancingTables,
  metricstream: metricstreamTables,
  "metricstream-cost": metricstreamCostTables,
  offload: offloadTables,
  overload: overloadTables
}

const document = new URL("../BENCHMARKS.md", import.meta.url)
const results = (name: string) => new URL(`./results/${name}.json`, import.meta.url)

/** Refreshes the sections of these scenarios, of all by default; those that never ran stay as they are. */
export const writeTables = (names: ReadonlyArray<string> = Object.keys(tables)): void => {
  let text = readFileSync(document, "utf8")
  for (const name of names) {
    // Not every scenario has its tables in that document.
    if (tables[name] === undefined || !existsSync(results(name))) continue
    text = fillSection(text, name, tables[name](JSON.parse(readFileSync(results(name), "utf8")) as never))
  }
  writeFileSync(document, text)
}

if (import.meta.main) writeTables(process.argv.length > 2 ? process.argv.slice(2) : undefined)
