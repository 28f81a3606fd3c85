/** Results on the disk: the JSON, which is merged with what was there, and what is made from it: charts and the text. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { costChart } from "../metricstream/costChart.ts"
import { comparison } from "../tables/compare.ts"
import { connectionsChart } from "../tables/compareConnections.ts"
import { ingestChart } from "../tables/compareIngest.ts"
import { slowlorisChart } from "../tables/compareSlowloris.ts"
import { throughputChart } from "../tables/compareThroughput.ts"
import { timelineChart } from "../tables/compareWaits.ts"
import type { Results } from "./contract.ts"
import { readCost } from "./cost.ts"

interface File {
  readonly scenario: "compare"
  readonly parts: Results
}

const folder = new URL("../results/", import.meta.url)
const file = new URL("compare.json", folder)
const text = new URL("../../COMPARISON.md", import.meta.url)

export const readResults = (): Results =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as File).parts : {}

/** Parts that were not measured now stay as they were. */
export const mergeResults = (measured: Results): void => {
  mkdirSync(folder, { recursive: true })
  const report: File = { scenario: "compare", parts: { ...readResults(), ...measured } }
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
}

/** The charts of what was measured, by their names. */
export const chartsOf = (results: Results): Readonly<Record<string, string>> => ({
  ...(results["1"] && { throughput: throughputChart(results["1"]) }),
  ...(results["3"] && { timeline: timelineChart(results["3"]) }),
  ...(results["4"] && { connections: connectionsChart(results["4"]) }),
  ...(results["6"] && { slowloris: slowlorisChart(results["6"]) }),
  ...(results["7"] && { rates: ingestChart(results["7"]) })
})

/** Writes the charts and COMPARISON.md from the results on the disk. */
export const writeAll = (): void => {
  const results = readResults()
  const cost = readCost()
  const charts = { ...chartsOf(results), ...(cost !== undefined && { cost: costChart(cost) }) }
  for (const [name, svg] of Object.entries(charts)) writeFileSync(new URL(`compare-${name}.svg`, folder), svg)
  writeFileSync(text, comparison(results, cost))
}
