/**
 * `Offload` beside the worker pools that a Node program would use otherwise, and beside Effect's own RPC workers: the same tasks, the same
 * number of threads, rounds interleaved. See `offload/settings.ts` for how to run a part of it.
 */
import { existsSync, readFileSync } from "node:fs"
import { cancelRow } from "./offload/rows/cancel.ts"
import { fairnessRow } from "./offload/rows/fairness.ts"
import { memoryRow } from "./offload/rows/memory.ts"
import { overheadRow } from "./offload/rows/overhead.ts"
import { tasksRow } from "./offload/rows/tasks.ts"
import type { OffloadReport } from "./offload/report.ts"
import { writeReport } from "./offload/report.ts"
import { rounds, trial, wantedRows } from "./offload/settings.ts"
import type { RowName } from "./offload/settings.ts"
import { machine } from "./support/machine.ts"
import { offloadTables } from "./tables/offload.ts"

const rows = { tasks: tasksRow, cancel: cancelRow, overhead: overheadRow, memory: memoryRow, fairness: fairnessRow }

const last = (): Partial<OffloadReport["rows"]> => {
  const file = new URL("./results/offload.json", import.meta.url)
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as OffloadReport).rows : {}
}

const measured: Partial<Record<RowName, unknown>> = {}
for (const name of wantedRows()) {
  const start = performance.now()
  measured[name] = await rows[name]()
  const { stealPercent } = measured[name] as { readonly stealPercent: number | undefined }
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(`${name}: ${seconds} s, ${stealPercent ?? "unknown"} % of the CPU time stolen by the host`)
  if ((stealPercent ?? 0) > 10) console.log("  WARNING: more than 10 %, measure again on a quieter machine")
}

const report = { scenario: "offload", rounds, machine: machine(), rows: measured } as OffloadReport
console.log(`\n${offloadTables(report)}`)
if (!trial) writeReport({ ...report, rows: { ...last(), ...report.rows } })
// A pool that could not be closed in an orderly way may have left timers behind.
process.exit()
