/** What a thread does that serves connections whose sockets belong to another thread. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MessagePort } from "node:worker_threads"
import { Drain } from "@spillway/runtime/Drain"
import * as App from "../app.ts"
import { burnHere, complete, shared } from "../routes/shared.ts"
import type { Name } from "../settings.ts"
import { join, Stats } from "../stats/stats.ts"
import * as BlockingServer from "./blockingServer.ts"
import { PortDuplex } from "./portDuplex.ts"

/** What the thread is told. */
export interface Serving {
  readonly architecture: Name
  /** How long a request may take to arrive, in milliseconds. */
  readonly receive: number
}

/** Makes a function that serves the connection behind a port. */
export const make = Effect.fnUntraced(function* ({ architecture, receive }: Serving) {
  const stats = yield* Layer.build(Stats.layer(join()))
  const drain = yield* Effect.provideContext(BlockingServer.lifecycle, stats)
  const app = App.make(complete(shared(architecture, burnHere))).pipe(
    Effect.provideService(Drain, drain),
    Effect.provideContext(stats)
  )
  const serve = yield* BlockingServer.make(yield* app, Duration.millis(receive))
  return (port: MessagePort) => Effect.suspend(() => serve(new PortDuplex(port)))
})
