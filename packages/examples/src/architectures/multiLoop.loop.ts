/** One of the loops. */
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as hybrid from "./hybrid.ts"
import { canCrash } from "./settings.ts"
import { claim, Stats } from "./stats/stats.ts"

/** An error outside of every handler, which ends the thread that it comes up in. */
const crash = Effect.sync(() => {
  setImmediate(() => {
    throw new Error("this loop crashes, as it was told to")
  })
  return HttpServerResponse.text("Crashing")
})

/** Which loop has the connection that asks. */
const which = Effect.map(MultiLoop.currentLoop, (current) => HttpServerResponse.text(String(current?.loop ?? 0)))

const stats = Effect.sync(() => {
  const stats = claim()
  stats.set("workers", 1)
  return Stats.layerLoop(stats)
})

const server = Effect.map(canCrash, (canCrash) =>
  hybrid.layer("multi-loop", [
    HttpRouter.route("GET", "/loop", which),
    ...(canCrash ? [HttpRouter.route("GET", "/crash", crash)] : [])
  ])
)

MultiLoop.serve(Layer.unwrap(server).pipe(Layer.provide(Layer.unwrap(stats))))
