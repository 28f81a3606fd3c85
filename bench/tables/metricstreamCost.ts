import { conditions, median, number, rounded, table } from "../support/markdown.ts"
import { stages } from "../metricstream/cost.ts"
import type { CostResult, Stage } from "../metricstream/cost.ts"

export const metricstreamCostTables = (result: CostResult): string => {
  const names: Readonly<Record<Stage, string>> = {
    read: "read",
    parse: "parse",
    server: "server",
    rateLimit: "rate limit",
    json: "JSON",
    validate: "validate",
    store: "store",
    write: "write"
  }
  const rows = (Object.keys(stages) as Array<Stage>).map((stage) => [
    `${names[stage]}: ${stages[stage]}`,
    `${rounded(result.stages[stage])} us`
  ])
  const { claimed, machine, stealPercent, sum, whole } = result
  const { eventLoop, storage } = result.wholeThreads
  const totals = [
    ["**these together**, the median of what they were together in each round", median(sum, rounded, " us")],
    ["**the whole server**, all its threads", median(whole, rounded, " us")],
    [
      "of it the event loop, the storage thread, all others: those of the engine",
      [eventLoop, storage, whole.median - eventLoop - storage].map((micros) => `${rounded(micros)} us`).join(", ")
    ],
    [
      "claimed: work; in a pool of threads; with a thread for each",
      `${claimed.work} us; ${claimed.pool} us; ${claimed.threadPerRequest} us`
    ]
  ]
  return `${table(["stage", "CPU a request"], [...rows, ...totals])}\n\n${number(result.rate)} requests a second, ${rounded(result.group)} events in a group. ${conditions(machine, stealPercent)}.`
}
