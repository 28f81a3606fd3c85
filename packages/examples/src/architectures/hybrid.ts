/**
 * The event loop, and worker threads for what computes: the loop hands a task over, goes on with other requests, and answers when the result
 * is there. Both are bounded, and what they can not take is refused at once.
 *
 * This is the server for production.
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as HttpServer from "./httpServer.ts"
import { CpuOffload } from "./routes/cpu.ts"
import { burnElsewhere, production } from "./routes/production.ts"
import { complete, shared } from "./routes/shared.ts"
import { countRespawns } from "./stats/respawns.ts"
import type { Name } from "./settings.ts"
import { share, Stats } from "./stats/stats.ts"

// #region layer
/** The server of one event loop, which `multi-loop` has several of. */
export const layer = (name: Name, others: ReadonlyArray<HttpRouter.Route> = []) =>
  Layer.merge(
    HttpServer.layer(name, complete([...shared(name, burnElsewhere), ...production, ...others])),
    Layer.effectDiscard(Effect.flatMap(CpuOffload, (cpu) => countRespawns([cpu])))
  ).pipe(Layer.provide(CpuOffload.layer))
// #endregion

export const program = Effect.suspend(() => {
  const stats = share(1)
  stats.set("workers", CpuOffload.workers)
  return Layer.launch(Layer.provide(layer("hybrid"), Stats.layer(stats)))
})
