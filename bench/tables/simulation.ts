import { table } from "../support/markdown.ts"
import type { PhaseResult } from "../simulation/recorder.ts"

interface Result {
  readonly name: string
  readonly runs: ReadonlyArray<{ readonly candidate: string; readonly phases: ReadonlyArray<PhaseResult> }>
}

const cell = (phase: PhaseResult | undefined): string => {
  if (phase === undefined) return ""
  const { convergence, p99, refused, share } = phase
  const parts = [Math.round(100 * share), p99 === null ? "-" : Math.round(p99), Math.round(refused), convergence ?? "-"]
  return parts.join(" / ")
}

/** One table: a row for each phase of each scenario, a column for each algorithm. */
export const simulationTable = (results: ReadonlyArray<Result>): string => {
  const names = results[0]!.runs.map(({ candidate }) => candidate)
  const rows = results.flatMap(({ name, runs }) =>
    runs[0]!.phases.map((phase, i) => [
      `${i === 0 ? `**${name}**: ` : ""}${phase.name}`,
      ...names.map((candidate) => cell(runs.find((run) => run.candidate === candidate)?.phases[i]))
    ])
  )
  return table(["scenario: phase", ...names], rows)
}
