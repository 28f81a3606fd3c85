import { Tinypool } from "tinypool"
import { promisePool } from "../pool.ts"
import type { Candidate } from "../pool.ts"
import type { Bytes } from "../tasks.ts"

const filename = new URL("../workers/tinypool.worker.ts", import.meta.url).href

/** As Piscina, of which it is a fork: one task per worker, a fixed number of threads, `useAtomics` on as by default. */
export const tinypool: Candidate = {
  name: "tinypool",
  make: async (workers) => {
    const pool = new Tinypool({ filename, minThreads: workers, maxThreads: workers, concurrentTasksPerWorker: 1 })
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
}
