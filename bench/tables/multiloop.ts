import { conditions, median, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

interface Report {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  readonly perCpu: Spread
  readonly summary: ReadonlyArray<{
    readonly name: string
    readonly microsPerRequest: Spread
    readonly requestsPerSecond: Spread
    readonly cores: Spread
  }>
}

export const multiloopTables = (report: Report): string => {
  const { connections, machine, perCpu, rounds, seconds, stealPercent, summary } = report
  const rows = summary.map(({ cores, microsPerRequest, name, requestsPerSecond }) => [
    name,
    median(microsPerRequest, (value) => number(value, 1), " us"),
    median(requestsPerSecond, number),
    median(cores, (value) => number(value, 2))
  ])
  const twice = (value: number) => number(2 * value, 2)
  return `${table(["server", "CPU of the server per request", "requests/s", "cores used by the server"], rows)}

What two loops carry on two cores of server CPU, in units of what one loop carries on one, round by round: ${median(perCpu, twice)}; the load generator took the rest of the machine. ${rounds} rounds of ${seconds} s, ${connections} connections; ${conditions(machine, stealPercent)}.`
}
