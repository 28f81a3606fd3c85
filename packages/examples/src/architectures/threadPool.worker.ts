/** A thread of the pool. */
import { serve } from "@spillway/runtime/OffloadEffectWorker"
import * as Effect from "effect/Effect"
import type { MessagePort } from "node:worker_threads"
import * as ServingThread from "./connections/servingThread.ts"
import { Connections } from "./threadPool.contract.ts"

serve(Connections, (serving: ServingThread.Serving) =>
  Connections.toLayer(
    Effect.map(ServingThread.make(serving), (serveConnection) => ({
      // The same class: the platform's name for it, and node's.
      serve: ({ port }) => serveConnection(port as unknown as MessagePort)
    }))
  )
)
