import type { Latency } from "../offload/rows/fairness.ts"
import type { OffloadReport } from "../offload/report.ts"
import { conditions, median, number, rounded, table } from "../support/markdown.ts"
import { spread } from "../support/statistics.ts"
import { cpuTable, tasksTable } from "./offloadTasks.ts"
import { targetsTable } from "./offloadTargets.ts"

type Rows = OffloadReport["rows"]

const cancelTable = ({ patienceMillis, results }: NonNullable<Rows["cancel"]>) =>
  table(
    ["pool", "until two tasks ran at once again"],
    results.map(({ name, rounds }) => {
      const known = rounds.flat().filter((millis) => millis !== null)
      const never = `never, in ${patienceMillis / 1000} s`
      return [name, known.length === 0 ? never : median(spread(known), rounded, " ms")]
    })
  )

const overheadTable = ({ callerCounts, results }: NonNullable<Rows["overhead"]>) =>
  table(
    ["pool", ...callerCounts.map((callers) => `${callers} callers`)],
    results.map(({ name, rounds }) => [
      name,
      ...callerCounts.map((_, i) => median(spread(rounds.map((round) => round[i]!)), number, " us"))
    ])
  )

const memoryTable = ({ results, threads }: NonNullable<Rows["memory"]>) =>
  table(
    ["pool", "memory of a worker", `first result of a pool of ${threads}`],
    results.map(({ name, rounds }) => [
      name,
      median(spread(rounds.map(({ mibPerWorker }) => mibPerWorker)), (value) => number(value, 1), " MiB"),
      median(spread(rounds.map(({ startMillis }) => startMillis)), number, " ms")
    ])
  )

const lostNote = (rounds: ReadonlyArray<Latency>) => {
  const lost = rounds.reduce((sum, round) => sum + round.lost, 0)
  return lost === 0 ? "" : `, ${number(lost)} never answered`
}

const latencies = (rounds: ReadonlyArray<Latency>): ReadonlyArray<string> => [
  `${rounded(spread(rounds.map(({ p50 }) => p50)).median)} ms`,
  median(spread(rounds.map(({ p99 }) => p99)), rounded, " ms") + lostNote(rounds)
]

const fairnessTable = ({ results }: NonNullable<Rows["fairness"]>) =>
  table(
    ["pool", "beside one long task: p50", "p99", "while long ones come in bursts: p50", "p99"],
    results.map(({ name, rounds }) => [
      name,
      ...latencies(rounds.map(({ steady }) => steady)),
      ...latencies(rounds.map(({ bursts }) => bursts))
    ])
  )

/** `rounds` of the first candidate; the slowest to cancel have only one. */
const part = <A extends { readonly stealPercent?: number | undefined }>(
  title: string,
  row: A | undefined,
  show: (row: A) => string,
  rounds: number | undefined
): ReadonlyArray<string> => {
  if (row === undefined) return []
  const loud = (row.stealPercent ?? 0) > 10 ? " (**measure again**)" : ""
  return [
    `**${title}** ${rounds} rounds, CPU time stolen meanwhile: ${row.stealPercent ?? "unknown"} %${loud}.`,
    show(row)
  ]
}

export const offloadTables = ({ machine, rows }: OffloadReport): string => {
  const taskRounds = rows.tasks?.shapes[0]!.results[0]!.rounds.length
  const roundsOf = (
    row: { readonly results: ReadonlyArray<{ readonly rounds: ReadonlyArray<unknown> }> } | undefined
  ) => row?.results[0]!.rounds.length
  return [
    targetsTable(rows),
    ...part("Tasks per second; for 64 MiB the time of one crossing.", rows.tasks, tasksTable, taskRounds),
    ...part("CPU time of the process per task.", rows.tasks, cpuTable, taskRounds),
    ...part("Capacity after a runaway task was cancelled.", rows.cancel, cancelTable, roundsOf(rows.cancel)),
    ...part(
      "What the pool adds to a task of 1 ms, on 8 workers.",
      rows.overhead,
      overheadTable,
      roundsOf(rows.overhead)
    ),
    ...part("Memory and start, each in a process of its own.", rows.memory, memoryTable, roundsOf(rows.memory)),
    ...part(
      "Latency of tasks of 0.1 ms beside tasks of 50 ms, on 2 workers.",
      rows.fairness,
      fairnessTable,
      roundsOf(rows.fairness)
    ),
    `${conditions(machine)}. [Chart](bench/results/offload.svg).`
  ].join("\n\n")
}
