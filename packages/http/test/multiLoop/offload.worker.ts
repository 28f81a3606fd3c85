import { serve } from "@spillway/runtime/OffloadWorker"
import { threadId } from "node:worker_threads"
import type { Tasks } from "./offload.ts"

const sleeping = new Int32Array(new SharedArrayBuffer(4))

serve<typeof Tasks>({
  thread: () => {
    Atomics.wait(sleeping, 0, 0, 20)
    return threadId
  }
})
