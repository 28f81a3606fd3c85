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
  const stats = join()
  const services = Layer.merge(Stats.layer(stats), Layer.succeed(Drain, BlockingServer.drainOf(stats)))
  const app = yield* Effect.provide(App.make(complete(shared(architecture, burnHere))), services)
  const serve = yield* BlockingServer.make(app, Duration.millis(receive))
  return (port: MessagePort) => Effect.suspend(() => serve(new PortDuplex(port)))
})
