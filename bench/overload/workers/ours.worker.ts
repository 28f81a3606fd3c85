import { serve } from "@spillway/runtime/OffloadWorker"
import type { Tasks } from "../contract.ts"
import { burn } from "../work.ts"

serve<typeof Tasks>({ burn: ({ millis }) => burn(millis) })
