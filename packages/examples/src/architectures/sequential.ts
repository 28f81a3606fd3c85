/**
 * One connection at a time, from accept to close: reading, handling and writing all hold the server.
 *
 * A client that says nothing holds it until the receive timeout, and everyone behind it waits. Nothing is wrong with the handlers: it is
 * what happens between two of them.
 */
import { Drain } from "@spillway/runtime/Drain"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type { Done } from "effect/Cause"
import type { Socket } from "node:net"
import * as App from "./app.ts"
import { listen } from "./connections/acceptor.ts"
import * as BlockingServer from "./connections/blockingServer.ts"
import { burnHere, complete, shared } from "./routes/shared.ts"
import { timeouts } from "./settings.ts"
import { sample } from "./stats/eventLoop.ts"
import { share, Stats } from "./stats/stats.ts"

const name = "sequential"

/** Beyond as many connections as a kernel keeps for a listener, the next one is hung up on. */
const maxWaiting = 4096

const server = Effect.gen(function* () {
  const stats = yield* Stats
  const { drain, receive } = yield* timeouts
  const lifecycle = yield* BlockingServer.lifecycle
  const app = yield* Effect.provideService(App.make(complete(shared(name, burnHere))), Drain, lifecycle)
  const serve = yield* BlockingServer.make(app, receive)
  const waiting = yield* Queue.bounded<Socket, Done>(maxWaiting)

  // #region turn
  const turn = Effect.gen(function* () {
    const connection = yield* Queue.take(waiting)
    stats.add("queued", -1)
    yield* serve(connection)
  })
  // #endregion

  const turns = yield* Effect.forkScoped(Effect.exit(Effect.forever(turn)))
  // Runs when nobody is accepted any more: those that were get their turns.
  yield* Effect.addFinalizer(() => Effect.timeoutOption(Effect.andThen(Queue.end(waiting), Fiber.await(turns)), drain))
  stats.set("workers", 1)
  yield* sample
  yield* listen(name, (socket) => {
    if (Queue.offerUnsafe(waiting, socket)) return stats.add("queued", 1)
    stats.add("refused", 1)
    socket.destroy()
  })
  return yield* Effect.never
})

export const program = Effect.suspend(() => Effect.scoped(server).pipe(Effect.provide(Stats.layer(share(1)))))
