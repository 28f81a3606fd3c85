import { serve } from "@spillway/runtime/OffloadWorker"
import type { Tasks } from "./pool.ts"

serve<typeof Tasks>({ hold: ({ cell }) => void Atomics.wait(cell as Int32Array, 0, 0) })
