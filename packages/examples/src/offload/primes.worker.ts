// #region worker
import { serve } from "@spillway/runtime/OffloadWorker"
import { handlers } from "./primes.handlers.ts"
import type { Primes } from "./primes.ts"

serve<typeof Primes>(handlers)
// #endregion
