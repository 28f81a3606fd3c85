/**
 * The limit algorithms in simulated overloads: the real admission queue, CoDel, adaptive limit and `Retry-After`, with simulated clients,
 * servers' work and time. The same seeds give the same figures on every machine. `docs/adaptive-limit.md` says what comes of it.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { candidates } from "./simulation/candidates.ts"
import { medianOf } from "./simulation/median.ts"
import { scenarios } from "./simulation/scenarios.ts"
import { timeChart } from "./simulation/timeChart.ts"
import { simulate } from "./simulation/world.ts"
import type { Run } from "./simulation/world.ts"
import { barChart } from "./support/barChart.ts"
import { fillSection } from "./support/markdown.ts"
import { simulationTable } from "./tables/simulation.ts"

const folder = new URL("./results/", import.meta.url)
mkdirSync(folder, { recursive: true })

const started = performance.now()
const results = scenarios.map((scenario) => {
  console.log(`\n${scenario.name}`)
  const runs = candidates.map((candidate) => {
    const each = (scenario.seeds ?? [1, 2, 3]).map((seed) => simulate(scenario, candidate, seed))
    const first = each[0]!
    const medians = first.phases.map((_, i) => medianOf(each.map(({ phases }) => phases[i]!)))
    const phases = medians.map(
      ({ limit, name, p99, refused, share, shares }) =>
        `${name}: ${shares.map((some) => Math.round(100 * some)).join(" to ")} %, median ${Math.round(100 * share)} %, p99 ${p99 === null ? "none" : Math.round(p99)}, refused ${Math.round(refused)} %, limit ${Math.round(limit)}`
    )
    console.log(`  ${candidate.name.padEnd(14)} ${phases.join(" | ")}`)
    // What is drawn is the first course, not an average of several.
    return { ...first, phases: medians, events: each.reduce((total, run) => total + run.events, 0) }
  })
  return { scenario, runs }
})
const seconds = Math.round((performance.now() - started) / 1000)
const events = results.flatMap(({ runs }) => runs).reduce((total, run) => total + run.events, 0)
console.log(`\n${events.toLocaleString("en")} events in ${seconds} s`)

// No times of this machine: the file only changes when the figures do.
const report = {
  scenario: "simulation",
  events,
  results: results.map(({ runs, scenario }) => ({
    name: scenario.name,
    runs: runs.map(({ candidate, phases }) => ({ candidate, phases }))
  }))
}
writeFileSync(new URL("simulation.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)

const page = new URL("../docs/adaptive-limit.md", import.meta.url)
writeFileSync(page, fillSection(readFileSync(page, "utf8"), "simulation", simulationTable(report.results)))

/** What is drawn over time: the fixed limit that knows nothing is off the scale. */
const shown = ["fixed, known", "aimd", "vegas", "gradient2", "gradient", "knee, 16 up", "knee, from 20"]

const overTime = (name: string, file: string, mostGoodput: number, mostLimit: number) => {
  const { runs, scenario } = results.find((result) => result.scenario.name === name)!
  let second = 0
  const marks = scenario.phases.map((phase) => {
    const from = second
    second += phase.seconds
    return [from, phase.name] as const
  })
  const panel = (y: string, most: number, of: (run: Run) => Run["goodput"]) => ({
    y,
    most,
    series: runs
      .filter(({ candidate }) => shown.includes(candidate))
      .map((run) => ({ name: run.candidate, points: of(run) }))
  })
  const panels = [
    panel("answers in time, 1/s", mostGoodput, (run) => run.goodput),
    panel("limit", mostLimit, (run) => run.limits)
  ]
  writeFileSync(new URL(file, folder), timeChart({ title: name, marks, seconds: second, panels }))
}

overTime("steps of load", "simulation-steps.svg", 300, 120)
overTime("slow dependency", "simulation-slow.svg", 300, 120)
overTime("mixed routes, limit at 50", "simulation-mixed.svg", 600, 1200)
overTime("a million clients at once", "simulation-herd.svg", 48_000, 120)

const share = (run: Run | undefined) => {
  if (run === undefined) return undefined
  const [good, possible] = run.phases.reduce(
    ([good, possible], { goodput, share }) => [good + goodput, possible + (share === 0 ? 0 : goodput / share)],
    [0, 0]
  )
  // Work that waited from one phase to the next makes a little more than all.
  return possible === 0 ? 0 : Math.min((100 * good) / possible, 100)
}

const bars = (file: string, title: string, names: ReadonlyArray<string>) =>
  writeFileSync(
    new URL(file, folder),
    barChart({
      title,
      y: "percent of what was possible",
      series: shown,
      reference: 100,
      most: 100,
      groups: names.map((name) => ({
        name,
        values: shown.map((candidate) =>
          share(results.find(({ scenario }) => scenario.name === name)!.runs.find((run) => run.candidate === candidate))
        )
      }))
    })
  )

bars("simulation-goodput.svg", "Goodput of all phases together", [
  "steps of load",
  "slow dependency",
  "capacity halves",
  "capacity grows",
  "one in a hundred fails",
  "mixed routes, limit at 1024",
  "a tenth hangs"
])
