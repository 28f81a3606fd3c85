/** The results of all rows: their file and their chart. */
import { mkdirSync, writeFileSync } from "node:fs"
import { barChart } from "../support/barChart.ts"
import type { Machine } from "../support/machine.ts"
import { spread } from "../support/statistics.ts"
import type { CancelReport } from "./rows/cancel.ts"
import type { FairnessReport } from "./rows/fairness.ts"
import type { MemoryReport } from "./rows/memory.ts"
import type { OverheadReport } from "./rows/overhead.ts"
import type { TasksReport } from "./rows/tasks.ts"
import { byPeer } from "./peers.ts"

export interface OffloadReport {
  readonly scenario: "offload"
  readonly rounds: number
  readonly machine: Machine
  readonly rows: {
    readonly tasks?: TasksReport
    readonly cancel?: CancelReport
    readonly overhead?: OverheadReport
    readonly memory?: MemoryReport
    readonly fairness?: FairnessReport
  }
}

const chart = ({ shapes }: TasksReport): string => {
  const groups = shapes.map(({ name, results }) => {
    const medians = byPeer(results).map((peer) => ({
      name: peer.name,
      speed: spread(peer.rounds.map(({ tasksPerSecond }) => tasksPerSecond)).median
    }))
    return { name, medians }
  })
  return barChart({
    title: "Tasks per second, as a multiple of spillway's",
    y: "times spillway (above the line: faster)",
    series: groups[0]!.medians.map(({ name }) => name),
    groups: groups.map(({ medians, name }) => ({
      name,
      values: medians.map(({ speed }) => speed / medians[0]!.speed)
    })),
    reference: 1,
    most: 3
  })
}

export const writeReport = (report: OffloadReport): void => {
  const folder = new URL("../results/", import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL("offload.json", folder), `${JSON.stringify(report, undefined, 2)}\n`)
  if (report.rows.tasks !== undefined) writeFileSync(new URL("offload.svg", folder), chart(report.rows.tasks))
}
