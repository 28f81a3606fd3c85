/**
 * How long the scenario runs. `BENCH_ROWS=cancel,fairness` runs some rows only and keeps the last results of the others; `BENCH_TRIAL=1`
 * runs one short round of each to see that all works, and writes no results.
 */
export const trial = process.env.BENCH_TRIAL === "1"
export const rounds = trial ? 1 : 5
/** Milliseconds of one measurement, and of what runs before it. */
export const measured = trial ? 200 : 500
export const warmUp = 100
/** The threads of every pool, where a row does not say otherwise. */
export const threads = 2

export const rowNames = ["tasks", "cancel", "overhead", "memory", "fairness"] as const
export type RowName = (typeof rowNames)[number]

export const wantedRows = (): ReadonlyArray<RowName> => {
  const wanted = process.env.BENCH_ROWS?.split(",").map((name) => name.trim()) ?? [...rowNames]
  const unknown = wanted.filter((name) => !rowNames.includes(name as RowName))
  if (unknown.length > 0) throw new Error(`BENCH_ROWS: ${unknown.join(", ")} is none of ${rowNames.join(", ")}`)
  return wanted as ReadonlyArray<RowName>
}
