import { conditions, median, number, table } from "../support/markdown.ts"
import type { Machine } from "../support/machine.ts"
import type { Spread } from "../support/statistics.ts"

interface Report {
  readonly rounds: number
  readonly machine: Machine
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<{
    readonly name: string
    readonly milliseconds: ReadonlyArray<readonly [waiters: number, Spread]>
  }>
}

export const waitersTables = ({ machine, results, rounds, stealPercent }: Report): string => {
  const sizes = results[0]!.milliseconds.map(([waiters]) => waiters)
  const cell = (milliseconds: Report["results"][number]["milliseconds"], size: number) => {
    const found = milliseconds.find(([waiters]) => waiters === size)
    return found === undefined ? "not run" : median(found[1], number, " ms")
  }
  const rows = sizes.map((size) => [number(size), ...results.map(({ milliseconds }) => cell(milliseconds, size))])
  return `${table(["waiters", ...results.map(({ name }) => name)], rows)}

${rounds} rounds, 3 of the semaphore with 16,000; ${conditions(machine, stealPercent)}. [Chart](bench/results/waiters.svg).`
}
