/**
 * `npm run compare`: the six architectures and MetricStream in the seven comparisons of the project's documents, each figure beside the one
 * that is claimed. Writes `results/compare.json`, charts, and COMPARISON.md.
 *
 * `npm run compare -- quick` takes about 3 minutes: one round, shorter measurements, some servers left out; what it writes goes to
 * `.data/compare/` and leaves the full results as they were. `npm run compare -- 1 6` makes only these comparisons, and keeps the others;
 * `-- --out <folder>` writes everything there; `-- write` only writes charts and text again; `-- check` only checks what makes them, and
 * whether those that are published are those of the results.
 */
import { relative } from "node:path"
import { check } from "./compare/check.ts"
import type { Comparison, Mode, PartId, Results } from "./compare/contract.ts"
import { connections } from "./compare/parts/connections.ts"
import { hundred } from "./compare/parts/hundred.ts"
import { ingest } from "./compare/parts/metricstream.ts"
import { slowloris } from "./compare/parts/slowloris.ts"
import { throughput } from "./compare/parts/throughput.ts"
import { timeline } from "./compare/parts/timeline.ts"
import { waiting } from "./compare/parts/waiting.ts"
import { placeOf } from "./compare/place.ts"
import type { Place } from "./compare/place.ts"
import { findProblems } from "./compare/preflight.ts"
import { Progress } from "./compare/progress.ts"
import { retriesFor, runComparison, workOfAll } from "./compare/runner.ts"
import { parseArguments, usage } from "./compare/settings.ts"
import type { Arguments } from "./compare/settings.ts"
import { targetsOf } from "./compare/targets.ts"
import { mergeResults, outdated, readResults, writeAll } from "./compare/write.ts"

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
const measure = async (parts: ReadonlyArray<PartId>, place: Place): Promise<number> => {
  const all = parts.map((id) => comparisons[id](place.mode))
  const work = workOfAll(all)
  const retries = retriesFor(work)
  let failed = 0
  const progress = new Progress(work)
  try {
    for (const comparison of all) {
      const part = await runComparison(comparison, place.mode, progress, retries)
      mergeResults(place, { [comparison.id]: part } as Results)
      writeAll(place)
      progress.say(`${comparison.id} ${comparison.title}: ${part.seconds} s`)
      failed += part.failures.length
    }
    return failed
  } finally {
    progress.stop()
  }
}

const mark = (met: boolean | undefined): string => (met === undefined ? "      " : met ? "met   " : "MISSED")

const printTargets = (parts: ReadonlyArray<PartId>, place: Place): void => {
  const measured = Object.entries(readResults(place)).filter(([id]) => parts.includes(id as PartId))
  for (const { measured: figures, met, target } of targetsOf(Object.fromEntries(measured))) {
    console.log(`${mark(met)} ${target}: ${figures}`)
  }
}

const printPlace = (place: Place): void => {
  const [text, results, charts] = [place.text, place.results, place.chart("*")].map((path) =>
    relative(process.cwd(), path)
  )
  console.log(`Written: ${text}, ${results}, ${charts}`)
  if (place.mode === "quick") {
    console.log("One round of a shorter run: for a look, not for COMPARISON.md, which is as it was.")
  }
}

const fail = (line: string): void => {
  console.error(`compare: ${line}`)
  process.exitCode = 1
}

/** Charts and text of what is published are those of its results: somebody who changed one of them has to make them again. */
const checkOutdated = (place: Place): void => {
  const paths = outdated(place).map((path) => relative(process.cwd(), path))
  if (paths.length === 0) return console.log("Sentences, figures and charts are as they should be.")
  fail(`${paths.join(", ")}: not what the results say, npm run compare -- write`)
}

const run = async ({ mode, out, parts, ...only }: Arguments): Promise<void> => {
  if (only.help) return console.log(usage)
  const place = placeOf(mode, out)
  await check()
  if (only.check) return checkOutdated(place)
  if (only.write) return writeAll(place)
  const problems = await findProblems(parts, place)
  if (problems.length > 0) return problems.forEach(fail)
  const failed = await measure(parts, place)
  printTargets(parts, place)
  printPlace(place)
  if (failed > 0) fail(`${failed} measurements could not be made`)
}

/** `undefined`, and said, if it is not known what is asked for. */
const readArguments = (): Arguments | undefined => {
  try {
    return parseArguments(process.argv.slice(2))
  } catch (error) {
    fail((error as Error).message)
    return undefined
  }
}

const args = readArguments()
if (args !== undefined) {
  await run(args).catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
}
// Loads and servers have ended; what a failure left behind ends with this process.
process.exit()
