/** Reading the samples of a row: which figures are ours, which is the best peer, and how ours stand to it. */
import { spread } from "../support/statistics.ts"
import type { Spread } from "../support/statistics.ts"
import type { Samples } from "./interleave.ts"
import type { Throughput } from "./rows/tasks.ts"

export const ourName = "spillway"

const speed = ({ rounds }: Samples<Throughput>) => spread(rounds.map(({ tasksPerSecond }) => tasksPerSecond)).median

/** One entry for each library: of the ways in which one was configured the fastest. Ours is the first. */
export const byPeer = (results: ReadonlyArray<Samples<Throughput>>): ReadonlyArray<Samples<Throughput>> => {
  const best = new Map<string, Samples<Throughput>>()
  for (const result of results) {
    const library = result.name.split(",")[0]!
    const before = best.get(library)
    if (before === undefined || speed(result) > speed(before)) best.set(library, { ...result, name: library })
  }
  return [...best.values()]
}

/** The peer with the best median. */
export const fastest = (peers: ReadonlyArray<Samples<Throughput>>): Samples<Throughput> =>
  peers.filter(({ name }) => name !== ourName).reduce((a, b) => (speed(b) > speed(a) ? b : a))

/** Round by round, since a slow minute of the machine is one for both. */
export const ratios = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): Spread =>
  spread(ours.map((value, round) => value / theirs[round]!))

export const speedRatio = (ours: Samples<Throughput>, theirs: Samples<Throughput>): Spread =>
  ratios(
    ours.rounds.map(({ tasksPerSecond }) => tasksPerSecond),
    theirs.rounds.map(({ tasksPerSecond }) => tasksPerSecond)
  )
