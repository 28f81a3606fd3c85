import { fileURLToPath } from "node:url"
import workerpool from "workerpool"
import { promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"
import type { Bytes } from "../tasks.ts"

const script = fileURLToPath(new URL("../workers/workerpool.worker.ts", import.meta.url))

/**
 * A dedicated worker script on `worker_threads`; a worker has one task at a time by design. `terminateTimeout` is how long a cancelled
 * worker may still clean up, and then how long it may take to exit by itself, before it is terminated: 1000 ms by default.
 */
const make = (terminateTimeout: number | undefined) => async (workers: number) => {
  const pool = workerpool.pool(script, {
    workerType: "thread",
    minWorkers: workers,
    maxWorkers: workers,
    workerTerminateTimeout: terminateTimeout
  })
  return promisePool({
    call: ({ payload, task }, signal) => {
      const options = task === "move" ? { transfer: [(payload as { readonly bytes: Bytes }).bytes.buffer] } : undefined
      const promise = pool.exec(task, payload === undefined ? [] : [payload], options)
      signal?.addEventListener("abort", () => void promise.cancel(), { once: true })
      return promise as unknown as Promise<unknown>
    },
    close: async () => void (await pool.terminate(true))
  })
}

export const workerpoolDefault: Candidate = { name: "workerpool", make: make(undefined) }
export const workerpoolAtOnce: Candidate = { name: "workerpool, workerTerminateTimeout 1", make: make(1) }
