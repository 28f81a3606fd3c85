import type { Drain } from "@spillway/runtime/Drain"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Server } from "node:net"
import type { Dispatcher } from "./dispatcher.ts"

/**
 * What a drain may take beyond `preStop` and `drainTimeout`: interrupted handlers get this long to answer 503 and to be flushed. Then
 * every socket is destroyed.
 */
export const flushGraceMillis = 1000

export interface Parts {
  readonly server: Server
  readonly dispatcher: Dispatcher
  readonly drain: Drain["Service"]
  /** Closing it interrupts the fibers of requests. */
  readonly requests: Scope.Closeable
  /** Closing it interrupts the fibers of WebSocket handshakes, and of the connections that came of them. */
  readonly upgrades: Scope.Closeable
}

/**
 * Ends a server so that nothing it accepted fails, in a bounded time: `preStop + maxAcceptMillis + drainTimeout +
 * flushGraceMillis`.
 *
 * Connections are closed one by one, each when it has nothing more to answer, and never by node's own `close`, which cuts off
 * responses that are still being flushed.
 */
export const run = Effect.fn("Server.drain")(function* ({ dispatcher, drain, requests, server, upgrades }: Parts) {
  const { connections, options } = dispatcher
  yield* drain.begin
  yield* Effect.sleep(options.preStop)

  yield* acceptWaiting(dispatcher)
  yield* Effect.sync(() => Server.prototype.close.call(server))
  // Not sooner: every client that is told to close connects again, and those connections would be what the listener resets when it closes.
  dispatcher.announceClose()
  connections.drain()
  dispatcher.webSockets.drain()

  const drained = yield* isEmptyWithin(dispatcher, options.drainTimeout)
  if (!drained) {
    dispatcher.refuseParked()
    yield* interrupt(requests)
    yield* interrupt(upgrades)
    yield* isEmptyWithin(dispatcher, flushGraceMillis)
    yield* Effect.sync(() => connections.destroyAll())
  }
  yield* connections.whenEmpty
  // Ends node's own timer. No connection is left that it could cut off.
  yield* Effect.sync(() => server.close())
})

/** How long `acceptWaiting` goes on under a flood of new connections. */
const maxAcceptMillis = 100

/**
 * Closing a listener resets the connections that the kernel has accepted and we have not. They are few once a turn of the event loop
 * brings no new one.
 */
const acceptWaiting = ({ connections, now }: Dispatcher): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const giveUpAt = now() + maxAcceptMillis
    let accepted = -1
    const turn = (): void => {
      if (connections.accepted === accepted || now() >= giveUpAt) return resume(Effect.void)
      accepted = connections.accepted
      setImmediate(turn)
    }
    turn()
  })

/** A WebSocket's handler may outlive its connection: it is let finish too. */
const isEmptyWithin = ({ connections, webSockets }: Dispatcher, millis: number): Effect.Effect<boolean> =>
  Effect.timeoutOrElse(Effect.as(Effect.andThen(connections.whenEmpty, webSockets.whenEmpty), true), {
    duration: millis,
    orElse: () => Effect.succeed(false)
  })

/**
 * Interrupts the fibers of a scope without waiting for them: one that can not be interrupted must not hold up the process. The fiber
 * forked here ends when they have ended.
 */
const interrupt = (scope: Scope.Closeable): Effect.Effect<unknown> => Effect.forkDetach(Scope.close(scope, Exit.void))
