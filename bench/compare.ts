/**
 * `npm run compare`: the six architectures and MetricStream in the seven comparisons of the project's documents, each figure beside the one
 * that is claimed. Writes `results/compare.json`, charts, and COMPARISON.md.
 *
 * `npm run compare -- quick` takes about 4 minutes: one round, shorter measurements, some servers left out; `npm run compare -- 1 6` makes only these, and
 * leaves the others as they were; `-- write` only writes charts and text again; `-- check` only checks what makes them.
 */
import { check } from "./compare/check.ts"
import type { Comparison, Mode, PartId, Results } from "./compare/contract.ts"
import { connections } from "./compare/parts/connections.ts"
import { hundred } from "./compare/parts/hundred.ts"
import { ingest } from "./compare/parts/metricstream.ts"
import { slowloris } from "./compare/parts/slowloris.ts"
import { throughput } from "./compare/parts/throughput.ts"
import { timeline } from "./compare/parts/timeline.ts"
import { waiting } from "./compare/parts/waiting.ts"
import { Progress } from "./compare/progress.ts"
import { runComparison, workOfAll } from "./compare/runner.ts"
import { parseArguments } from "./compare/settings.ts"
import { targetsOf } from "./compare/targets.ts"
import { mergeResults, readResults, writeAll } from "./compare/write.ts"

const comparisons: { readonly [K in PartId]: (mode: Mode) => Comparison<unknown, unknown> } = {
  "1": throughput,
  "2": waiting,
  "3": timeline,
  "4": connections,
  "5": hundred,
  "6": slowloris,
  "7": ingest
}

/** Each part is kept as soon as it is there: what comes after may fail. Returns how many measurements could not be made. */
const measure = async (parts: ReadonlyArray<PartId>, mode: Mode): Promise<number> => {
  const all = parts.map((id) => comparisons[id](mode))
  let failed = 0
  const progress = new Progress(workOfAll(all))
  try {
    for (const comparison of all) {
      const part = await runComparison(comparison, mode, progress)
      mergeResults({ [comparison.id]: part } as Results)
      writeAll()
      progress.say(`${comparison.id} ${comparison.title}: ${part.seconds} s`)
      failed += part.failures.length
    }
    return failed
  } finally {
    progress.stop()
  }
}

const printTargets = (): void => {
  for (const { measured, met, target } of targetsOf(readResults())) {
    console.log(`${met ? "met   " : "MISSED"} ${target}: ${measured}`)
  }
}

const run = async (): Promise<void> => {
  const args = parseArguments(process.argv.slice(2))
  check()
  if (args.check) return console.log("Sentences, figures and charts are as they should be.")
  if (args.write) return writeAll()
  const failed = await measure(args.parts, args.mode)
  printTargets()
  console.log("Written: COMPARISON.md, bench/results/compare.json, bench/results/compare-*.svg")
  if (failed > 0) throw new Error(`${failed} measurements could not be made`)
}

await run().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
// Loads and servers have ended; what a failure left behind ends with this process.
process.exit()
