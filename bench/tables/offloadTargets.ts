/** What `Offload` is meant to reach beside its peers, and whether it did. */
import { byPeer, fastest, ourName, ratios, speedRatio } from "../offload/peers.ts"
import type { OffloadReport } from "../offload/report.ts"
import { median, number, table } from "../support/markdown.ts"
import { spread } from "../support/statistics.ts"
import type { Spread } from "../support/statistics.ts"

type Rows = OffloadReport["rows"]
type Line = readonly [target: string, measured: string, met: boolean]

const times = (ratio: Spread) => median(ratio, (value) => number(value, 2))

const tasksLines = ({ tasks }: Rows): ReadonlyArray<Line> => {
  if (tasks === undefined) return []
  const find = (results: ReturnType<typeof byPeer>, name: string) => results.find((result) => result.name === name)!
  const empty = byPeer(tasks.shapes[0]!.results)
  const beside = (name: string) => speedRatio(find(empty, ourName), find(empty, name))
  const payloads = tasks.shapes.slice(1).map(({ name, results }) => {
    const peers = byPeer(results)
    return { name, ratio: speedRatio(find(peers, ourName), fastest(peers)) }
  })
  const worst = payloads.reduce((a, b) => (b.ratio.median < a.ratio.median ? b : a))
  const [piscina, effectRpc] = [beside("Piscina"), beside("Effect RPC")]
  return [
    ["empty task: at least 2.5 times the tasks/s of Piscina", times(piscina), piscina.median >= 2.5],
    ["empty task: at least 4 times Effect's RPC workers", times(effectRpc), effectRpc.median >= 4],
    ["with bytes: never slower than the best peer", `${times(worst.ratio)} for ${worst.name}`, worst.ratio.median >= 1]
  ]
}

const cancelLines = ({ cancel }: Rows): ReadonlyArray<Line> => {
  if (cancel === undefined) return []
  const recoveries = cancel.results.flatMap(({ name, rounds }) => {
    const all = rounds.flat()
    const known = all.filter((millis) => millis !== null)
    return known.length < all.length || all.length === 0 ? [] : [{ name, median: spread(known).median }]
  })
  const ours = recoveries.find(({ name }) => name.startsWith(ourName) && name.endsWith("killGrace 0"))
  const peers = recoveries.filter(({ name }) => !name.startsWith(ourName))
  if (ours === undefined || peers.length === 0) return []
  const best = peers.reduce((a, b) => (b.median < a.median ? b : a))
  const ratio = best.median / ours.median
  return [
    ["capacity back at least 10 times sooner than the best peer", `${number(ratio, 1)}, ${best.name}`, ratio >= 10]
  ]
}

const overheadLines = ({ overhead }: Rows): ReadonlyArray<Line> => {
  const ours = overhead?.results.find(({ name }) => name === ourName)
  if (overhead === undefined || ours === undefined) return []
  const bare = overhead.results.find(({ name }) => name === "bare messages")
  return overhead.callerCounts.map((callers, i) => {
    const micros = spread(ours.rounds.map((round) => round[i]!))
    const what = `a task of 1 ms, ${overhead.workers} workers, ${callers} callers: at most 30 us more`
    const floor =
      bare === undefined ? "" : `; bare messages: ${number(spread(bare.rounds.map((round) => round[i]!)).median)} us`
    return [what, median(micros, number, " us") + floor, micros.median <= 30]
  })
}

const memoryLines = ({ memory }: Rows): ReadonlyArray<Line> => {
  const find = (name: string) =>
    memory?.results.find((result) => result.name === name)?.rounds.map((r) => r.mibPerWorker)
  const [ours, bare] = [find(ourName), find("bare Worker")]
  if (ours === undefined || bare === undefined) return []
  const ratio = ratios(ours, bare)
  return [["memory of a worker: at most 1.1 times that of a bare one", times(ratio), ratio.median <= 1.1]]
}

export const targetsTable = (rows: Rows): string =>
  table(
    ["target", "measured", ""],
    [...tasksLines(rows), ...cancelLines(rows), ...overheadLines(rows), ...memoryLines(rows)].map(
      ([target, measured, met]) => [target, measured, met ? "met" : "**missed**"]
    )
  )
