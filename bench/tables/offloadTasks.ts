/** Row 1 of the offload scenario. */
import { byPeer, fastest, ourName, speedRatio } from "../offload/peers.ts"
import type { TasksReport, Throughput } from "../offload/rows/tasks.ts"
import { number, rounded, table } from "../support/markdown.ts"
import { spread } from "../support/statistics.ts"
import type { Samples } from "../offload/interleave.ts"

type Shape = TasksReport["shapes"][number]

const of = (pick: (sample: Throughput) => number, { rounds }: Samples<Throughput>) => spread(rounds.map(pick)).median

/** A task is two crossings. Only where one task runs at a time is its time the time of them. */
const speedCell = (shape: Shape, result: Samples<Throughput>) => {
  const speed = of(({ tasksPerSecond }) => tasksPerSecond, result)
  return shape.callers === 1 ? `${rounded(500 / speed)} ms` : number(speed)
}

const against = (shape: Shape) => {
  const peers = byPeer(shape.results)
  const best = fastest(peers)
  const { max, median, min } = speedRatio(
    peers.find(({ name }) => name === ourName)!,
    best
  )
  return `${number(median, 2)} (${number(min, 2)} to ${number(max, 2)}), ${best.name}`
}

export const tasksTable = ({ shapes }: TasksReport): string => {
  const names = byPeer(shapes[0]!.results).map(({ name }) => name)
  return table(
    ["task", ...names, "ours over the best peer"],
    shapes.map((shape) => [
      shape.name,
      ...byPeer(shape.results).map((result) => speedCell(shape, result)),
      against(shape)
    ])
  )
}

export const cpuTable = ({ shapes }: TasksReport): string => {
  const names = byPeer(shapes[0]!.results).map(({ name }) => name)
  return table(
    ["task", ...names],
    shapes.map((shape) => [
      shape.name,
      ...byPeer(shape.results).map((result) => `${rounded(of(({ cpuMicrosPerTask }) => cpuMicrosPerTask, result))} us`)
    ])
  )
}
