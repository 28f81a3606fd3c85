/** What the pool answers on connections that it can not serve: 503 at once, but to those who ask how it is doing. */
import * as Problem from "@spillway/http/Problem"
import * as HealthRoutes from "@spillway/http/HealthRoutes"
import { Drain } from "@spillway/runtime/Drain"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type { Socket } from "node:net"
import { refreshing, report } from "../stats/report.ts"
import { Stats } from "../stats/stats.ts"
import * as BlockingServer from "./blockingServer.ts"

/** Seconds, until when a client is asked to wait. */
const retryAfter = 5

/** How long a request may take that is refused. */
const timeout = Duration.seconds(5)

/** Connections that may be refused at once; more are hung up on. */
const maxRefusing = 1000

const refusal = Problem.toResponse(Problem.unavailable("every thread is busy and the queue is full", retryAfter))

/** What was refused is counted here: who asks how the server is doing gets an answer. */
const refuse = Effect.map(Stats, (stats) => {
  stats.add("refused", 1)
  return refusal
})

const routes = Layer.merge(
  HealthRoutes.layerNoChecks.pipe(Layer.provide(refreshing.layer)),
  HttpRouter.addAll([HttpRouter.route("GET", "/stats", report("thread-pool")), HttpRouter.route("*", "/*", refuse)])
)

/** Makes a function that refuses a connection. The threads are not asked: this is what the accepting thread does itself. */
export const make = Effect.gen(function* () {
  const stats = yield* Stats
  const drain = yield* BlockingServer.lifecycle
  const app = yield* Effect.provideService(HttpRouter.toHttpEffect(routes), Drain, drain)
  const serve = yield* BlockingServer.make(Effect.provideService(app, Stats, stats), timeout)
  const refusing = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(refusing)()
  const hangUp = (socket: Socket) => {
    stats.add("refused", 1)
    socket.destroy()
  }
  return (socket: Socket): void => {
    if (refusing.state._tag === "Open" && refusing.state.backing.size >= maxRefusing) hangUp(socket)
    else run(serve(socket))
  }
})
