/** Takes and gives permits in a tight loop, so that threads get in each other's way as often as they can. */
import { SharedBudget } from "@spillway/http"
import { parentPort, workerData } from "node:worker_threads"

const { cells, inside, limit, rounds, seat } = workerData as {
  readonly cells: Int32Array
  readonly inside: Int32Array
  readonly limit: number
  readonly rounds: number
  readonly seat: number
}
const budget = SharedBudget.make({ cells, seat, limit, maxQueued: Infinity, now: () => 0 })

let [most, taken] = [0, 0]
// Until it had its share: what is left to the last is not contended any more.
while (taken < rounds) {
  if (!budget.take()) continue
  taken++
  most = Math.max(most, Atomics.add(inside, 0, 1) + 1)
  Atomics.sub(inside, 0, 1)
  budget.give()
}
parentPort!.postMessage({ most })
