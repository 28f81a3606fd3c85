import { Piscina } from "piscina"
import { promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"
import type { Bytes } from "../tasks.ts"

const filename = new URL("../workers/piscina.worker.ts", import.meta.url).href

/**
 * `concurrentTasksPerWorker` 1, as many threads at least as at most, all else as it is by default: its histograms are off, its queue is not
 * bounded. `atomics` is the one choice that matters here. `sync`, its default, lets a free worker sleep in `Atomics.wait` and read tasks
 * without an event, `disabled` is plain messages; both are measured and the better one is the peer.
 */
const make = (atomics: "sync" | "disabled") => async (workers: number) => {
  const pool = new Piscina({ filename, minThreads: workers, maxThreads: workers, concurrentTasksPerWorker: 1, atomics })
  return promisePool({
    call: ({ payload, task }, signal) => {
      if (task === "move") {
        const transferList = [(payload as { readonly bytes: Bytes }).bytes.buffer]
        return pool.run(payload, { name: task, transferList })
      }
      return pool.run(payload, signal === undefined ? { name: task } : { name: task, signal })
    },
    close: () => pool.destroy()
  })
}

export const piscina: Candidate = { name: "Piscina", make: make("sync") }
export const piscinaMessages: Candidate = { name: "Piscina, atomics disabled", make: make("disabled") }
