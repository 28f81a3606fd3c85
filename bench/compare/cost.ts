/** What one request of MetricStream costs, step by step: `npm run bench -- metricstream-cost` measures it, and it is shown beside the rest. */
import { existsSync, readFileSync } from "node:fs"
import type { CostResult } from "../metricstream/cost.ts"

const file = new URL("../results/metricstream-cost.json", import.meta.url)

/** `undefined` where it was never measured. */
export const readCost = (): CostResult | undefined =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as CostResult) : undefined
