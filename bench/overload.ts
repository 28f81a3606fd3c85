/**
 * More requests than a server can carry: ours, with its defaults and with what is recommended where that differs, beside Fastify alone, Fastify with under-pressure, Fastify with Piscina, and
 * stock Effect. Every measurement starts a new server on a core of its own; the generator has the other one and works open loop. Rounds are
 * interleaved. `npm run bench -- overload [quick | tune] [scenario …] [server …]`: see `overload/settings.ts`.
 */
import { writeReport } from "./overload/report.ts"
import type { Scenarios } from "./overload/report.ts"
import { crowdSeconds, runCrowd } from "./overload/scenarios/crowd.ts"
import { fairnessSeconds, runFairness } from "./overload/scenarios/fairness.ts"
import { recoverySeconds, runRecovery } from "./overload/scenarios/recovery.ts"
import { runShedding, sheddingSeconds } from "./overload/scenarios/shedding.ts"
import { runSteps, stepsSeconds } from "./overload/scenarios/steps.ts"
import { isComplete, scenarios, tune } from "./overload/settings.ts"
import type { ScenarioName } from "./overload/settings.ts"
import { maxStealPercent } from "./overload/steal.ts"
import { runTune, tuneSeconds } from "./overload/tune.ts"
import { machine } from "./support/machine.ts"
import { overloadTables } from "./tables/overload.ts"

const measure: { readonly [K in ScenarioName]: () => Promise<NonNullable<Scenarios[K]>> } = {
  cpu: () => runSteps("cpu"),
  strangers: () => runSteps("strangers"),
  rendering: () => runSteps("rendering"),
  offloaded: () => runSteps("offloaded"),
  sleep: () => runSteps("sleep"),
  unbounded: () => runSteps("unbounded"),
  crowd: runCrowd,
  recovery: runRecovery,
  fairness: runFairness,
  shedding: runShedding
}

const secondsOf: { readonly [K in ScenarioName]: () => number } = {
  cpu: () => stepsSeconds("cpu"),
  strangers: () => stepsSeconds("strangers"),
  rendering: () => stepsSeconds("rendering"),
  offloaded: () => stepsSeconds("offloaded"),
  sleep: () => stepsSeconds("sleep"),
  unbounded: () => stepsSeconds("unbounded"),
  crowd: crowdSeconds,
  recovery: recoverySeconds,
  fairness: fairnessSeconds,
  shedding: sheddingSeconds
}

const minutes = (seconds: number) => `${(seconds / 60).toFixed(1)} minutes`

/** On a machine that has nothing else to do; without `cpu`, the capacities of `recovery` and `fairness` come to that, 4 s each. */
const announce = (): void => {
  if (tune) return console.log(`About ${minutes(tuneSeconds())}.`)
  const parts = scenarios.map((name) => [name, secondsOf[name]()] as const)
  const total = parts.reduce((sum, [, seconds]) => sum + seconds, 0)
  console.log(
    `About ${minutes(total)}: ${parts.map(([name, seconds]) => `${name} ${Math.round(seconds)} s`).join(", ")}.`
  )
}

const run = async (): Promise<void> => {
  const measured: Partial<Record<ScenarioName, unknown>> = {}
  for (const name of scenarios) measured[name] = await measure[name]()
  console.log(`\n${overloadTables({ scenario: "overload", machine: machine(), scenarios: measured as Scenarios })}`)
  if (!isComplete) return console.log("\nNot written to bench/results: this was not the whole measurement.")
  for (const name of writeReport(machine(), measured as Scenarios)) {
    console.log(`\n${name}: not written, more than ${maxStealPercent} % of the CPU time was stolen. Measure again.`)
  }
}

const since = performance.now()
announce()
await (tune ? runTune() : run())
console.log(`\nIt took ${minutes((performance.now() - since) / 1000)}.`)
