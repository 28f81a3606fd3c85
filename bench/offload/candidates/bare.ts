import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"

const worker = new URL("../workers/bare.worker.ts", import.meta.url)

/** Not a pool: threads of `node:worker_threads` that only listen, the measure of memory and start time. */
export const bare: Candidate = {
  name: "bare Worker",
  make: async (workers) => {
    const threads = Array.from({ length: workers }, () => new Worker(worker))
    return promisePool({
      // Every thread answers once, whatever is asked.
      call: async ({ task }) => {
        const asked = task === "nothing" ? threads.slice(0, 1) : threads
        await Promise.all(asked.map((thread) => (thread.postMessage(0), once(thread, "message"))))
      },
      close: async () => void (await Promise.all(threads.map((thread) => thread.terminate())))
    })
  }
}
