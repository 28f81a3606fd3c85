import { fileURLToPath } from "node:url"
import { FixedThreadPool } from "poolifier"
import { settlesWithin, promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"
import type { Bytes } from "../tasks.ts"

const file = fileURLToPath(new URL("../workers/poolifier.worker.ts", import.meta.url))

/**
 * A fixed pool. Without its tasks queue, which is off by default, it would post any number of tasks to a worker; the queue with
 * `concurrency` 1 is its way to one task at a time. The choice of the worker is the default, least used. Idle workers do not steal tasks,
 * as they would by default: its attempts to steal are timers that outlive the pool, some with a delay that overflows and so fire every
 * millisecond, which would burden whoever is measured next. It was not slower for it, and bursts of long tasks did it less harm.
 */
export const poolifier: Candidate = {
  name: "poolifier",
  make: async (workers) => {
    const pool = new FixedThreadPool(workers, file, {
      enableTasksQueue: true,
      tasksQueueOptions: { concurrency: 1, taskStealing: false }
    })
    const threads = pool.workerNodes.map((node) => node.worker)
    return promisePool({
      call: ({ payload, task }, signal) =>
        task === "move"
          ? pool.execute(payload, task, undefined, [(payload as { readonly bytes: Bytes }).bytes.buffer])
          : pool.execute(payload, task, signal),
      close: async () => {
        // Now and then its `destroy` does not settle.
        if (await settlesWithin(pool.destroy(), 500)) return
        await Promise.all(threads.map((thread) => thread.terminate()))
      }
    })
  }
}
