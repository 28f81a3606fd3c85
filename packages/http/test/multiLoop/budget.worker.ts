/** A door in a thread of its own: lets visitors in and out as fast as it can, and counts how many are inside in all threads. */
import { Admission, SharedBudget } from "@spillway/http"
import { Effect } from "effect"
import { parentPort, workerData } from "node:worker_threads"

const { cells, inside, limit, seat, visitors } = workerData as {
  readonly cells: Int32Array
  readonly inside: Int32Array
  readonly limit: number
  readonly seat: number
  readonly visitors: number
}

const now = () => Number(process.hrtime.bigint()) / 1e6
const door = Admission.make({
  maxConcurrent: limit,
  maxQueued: Infinity,
  maxWait: Infinity,
  now,
  budget: SharedBudget.make({ cells, seat, limit, maxQueued: Infinity, now })
})
Effect.runFork(door.expire)

let [entered, left, most] = [0, 0, 0]
const admitted = (): void => {
  most = Math.max(most, Atomics.add(inside, 0, 1) + 1)
  // Some stay for a turn, others leave at once.
  if (left % 3 === 0) setImmediate(leave)
  else leave()
}
const leave = (): void => {
  Atomics.sub(inside, 0, 1)
  door.leave(0.01)
  if (++left === visitors) parentPort!.postMessage(most)
}
const enter = (): void => {
  for (let i = 0; i < 20 && entered < visitors; i++, entered++) {
    door.enter({ admitted, refused: () => process.exit(2) })
  }
  if (entered < visitors) setImmediate(enter)
}
// Something else than the door must keep the thread: it waits to be woken.
const alive = setInterval(() => {}, 1000)
parentPort!.on("message", () => clearInterval(alive))
enter()
