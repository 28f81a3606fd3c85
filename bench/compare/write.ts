/** Results on the disk: the JSON, which is merged with what was there, and what is made from it: charts and the text. */
import { costChart } from "../metricstream/costChart.ts"
import { comparison } from "../tables/compare.ts"
import { connectionsChart } from "../tables/compareConnections.ts"
import { ingestChart } from "../tables/compareIngest.ts"
import { slowlorisChart } from "../tables/compareSlowloris.ts"
import { throughputChart } from "../tables/compareThroughput.ts"
import { timelineChart } from "../tables/compareWaits.ts"
import type { Mode, Results } from "./contract.ts"
import { readCost } from "./cost.ts"
import { publishedLinks, readText, writeText } from "./place.ts"
import type { Place } from "./place.ts"

interface File {
  readonly scenario: "compare"
  readonly parts: Results
}

/** Figures of the two modes are never in one table: what was measured in the other one counts as not measured. */
export const partsIn = (mode: Mode, results: Results): Results =>
  Object.fromEntries(Object.entries(results).filter(([, part]) => part.mode === mode))

export const readResults = ({ mode, results }: Place): Results => {
  const text = readText(results)
  return text === undefined ? {} : partsIn(mode, (JSON.parse(text) as File).parts)
}

/** Parts that were not measured now stay as they were. */
export const mergeResults = (place: Place, measured: Results): void => {
  const report: File = { scenario: "compare", parts: { ...readResults(place), ...measured } }
  writeText(place.results, `${JSON.stringify(report, undefined, 2)}\n`)
}

/** The charts of what was measured, by their names. */
const chartsOf = (results: Results): Readonly<Record<string, string>> => ({
  ...(results["1"] && { throughput: throughputChart(results["1"]) }),
  ...(results["3"] && { timeline: timelineChart(results["3"]) }),
  ...(results["4"] && { connections: connectionsChart(results["4"]) }),
  ...(results["6"] && { slowloris: slowlorisChart(results["6"]) }),
  ...(results["7"] && { rates: ingestChart(results["7"]) })
})

/** What is made from results, by the path of each file. */
const filesOf = (place: Place): ReadonlyMap<string, string> => {
  const results = readResults(place)
  const cost = readCost()
  const charts = { ...chartsOf(results), ...(cost !== undefined && { cost: costChart(cost) }) }
  const text = comparison(results, cost).replaceAll(publishedLinks, place.links)
  return new Map([
    ...Object.entries(charts).map(([name, svg]) => [place.chart(name), svg] as const),
    [place.text, text]
  ])
}

/** Writes the charts and the text from the results on the disk. */
export const writeAll = (place: Place): void => {
  for (const [path, content] of filesOf(place)) writeText(path, content)
}

/** The charts and the text that are not those of the results on the disk. */
export const outdated = (place: Place): ReadonlyArray<string> =>
  [...filesOf(place)].flatMap(([path, content]) => (readText(path) === content ? [] : [path]))
