/**
 * More requests than a server can carry: ours with its defaults beside Fastify alone, Fastify with under-pressure, Fastify with Piscina, and
 * stock Effect. Every measurement starts a new server on a core of its own; the generator has the other one and works open loop. Rounds are
 * interleaved. `npm run bench -- overload [quick | tune] [scenario …] [server …]`: see `overload/settings.ts`.
 */
import { writeReport } from "./overload/report.ts"
import type { Scenarios } from "./overload/report.ts"
import { runFairness } from "./overload/scenarios/fairness.ts"
import { runRecovery } from "./overload/scenarios/recovery.ts"
import { runShedding } from "./overload/scenarios/shedding.ts"
import { runSteps } from "./overload/scenarios/steps.ts"
import { isComplete, scenarios, tune } from "./overload/settings.ts"
import type { ScenarioName } from "./overload/settings.ts"
import { maxStealPercent } from "./overload/steal.ts"
import { runTune } from "./overload/tune.ts"
import { machine } from "./support/machine.ts"
import { overloadTables } from "./tables/overload.ts"

const measure: { readonly [K in ScenarioName]: () => Promise<NonNullable<Scenarios[K]>> } = {
  cpu: () => runSteps("cpu"),
  strangers: () => runSteps("strangers"),
  offloaded: () => runSteps("offloaded"),
  sleep: () => runSteps("sleep"),
  recovery: runRecovery,
  fairness: runFairness,
  shedding: runShedding
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

await (tune ? runTune() : run())
