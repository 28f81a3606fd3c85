import { conditions, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"

interface Report {
  readonly machine: Machine
  readonly results: ReadonlyArray<{
    readonly inTimePercent: number
    readonly latencyMillis: { readonly p50: number; readonly p99: number; readonly max: number }
    readonly serverCpuMicrosPerRequest: number
    readonly acknowledged: number
    readonly missing: number
    readonly stealPercent: number | undefined
  }>
}

const head = [
  "round",
  "202 within 1 s",
  "p50",
  "p99",
  "longest",
  "CPU of the server per request",
  "acknowledged, missing",
  "stolen CPU"
]

export const metricstreamTables = ({ machine, results }: Report): string => {
  const rows = results.map((round, i) => [
    String(i + 1),
    `${number(round.inTimePercent, 3)} %`,
    `${number(round.latencyMillis.p50, 1)} ms`,
    `${number(round.latencyMillis.p99, 1)} ms`,
    `${number(round.latencyMillis.max)} ms`,
    `${number(round.serverCpuMicrosPerRequest)} us`,
    `${number(round.acknowledged)}, ${number(round.missing)}`,
    round.stealPercent === undefined ? "unknown" : `${round.stealPercent} %`
  ])
  return `${table(head, rows)}\n\n${conditions(machine)}.`
}
