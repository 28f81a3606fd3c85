import { conditions, median, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

interface Report {
  readonly rounds: number
  readonly seconds: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  readonly ratio: Spread
  readonly summary: ReadonlyArray<{
    readonly name: string
    readonly microsPerRequest: Spread
    readonly requestsPerSecond: Spread
  }>
}

export const helloTables = ({ machine, ratio, rounds, seconds, stealPercent, summary }: Report): string => {
  const rows = summary.map(({ microsPerRequest, name, requestsPerSecond }) => [
    name,
    median(microsPerRequest, (value) => number(value, 1), " us"),
    median(requestsPerSecond, number)
  ])
  return `${table(["server", "CPU of the server per request", "requests/s"], rows)}

CPU of ours over stock, round by round: ${median(ratio, (value) => number(value, 2))}. ${rounds} rounds of ${seconds} s; ${conditions(machine, stealPercent)}.`
}
