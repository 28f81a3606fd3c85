/**
 * One event loop, and a fiber for each request: a client that waits, or lets us wait, holds no thread, only some memory.
 *
 * But there is one thread for all. While a handler computes, nothing else is read, answered or even accepted.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpServer from "./httpServer.ts"
import { burnHere, complete, shared } from "./routes/shared.ts"
import { share, Stats } from "./stats/stats.ts"

const name = "event-driven"

export const program = Effect.suspend(() => {
  const stats = share(1)
  stats.set("workers", 1)
  return HttpServer.layer(name, complete(shared(name, burnHere))).pipe(Layer.provide(Stats.layer(stats)), Layer.launch)
})
