import { conditions, median, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

interface Report {
  readonly rounds: number
  readonly seconds: number
  readonly workers: number
  readonly rate: number
  readonly utilization: number
  readonly short: number
  readonly long: number
  readonly share: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  readonly summary: ReadonlyArray<{
    readonly name: string
    readonly shortP50: Spread
    readonly shortP99: Spread
    readonly longP99: Spread
    readonly failed: Spread
  }>
}

export const balancingTables = (report: Report): string => {
  const { long, machine, rate, rounds, seconds, share, short, stealPercent, summary, utilization, workers } = report
  const millis = (value: Spread) => median(value, number, " ms")
  const rows = summary.map(({ failed, longP99, name, shortP50, shortP99 }) => [
    name,
    millis(shortP50),
    millis(shortP99),
    millis(longP99),
    median(failed, number)
  ])
  return `${table(["a task waits for", "short: p50", "p99", "long: p99", "not answered 200"], rows)}

${workers} threads; ${rate} tasks/s at random times, ${100 * share} % of them hold a thread for ${long} ms, the others for ${short} ms, so that the threads are held for ${100 * utilization} % of their time. ${rounds} rounds of ${seconds} s; ${conditions(machine, stealPercent)}.`
}
