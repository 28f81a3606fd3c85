/** The OTLP worker: a thread that reads requests and remembers cumulative streams. */
import { serve } from "@spillway/runtime/OffloadWorker"
import type { EventLimits } from "./attributes.ts"
import { makeReader } from "./reader.ts"
import type { OtlpTasks } from "./tasks.ts"

serve<typeof OtlpTasks, EventLimits>((events) => makeReader(events, Date.now()))
