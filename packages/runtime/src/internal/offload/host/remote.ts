/** Tasks in a pool of the host: what `makeThreads` is, for a loop that has a link. */
import { MessageChannel } from "node:worker_threads"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { OffloadError } from "../../../OffloadError.ts"
import type { Executor } from "../executor.ts"
import { offloadError, toError, unavailable } from "../outcome.ts"
import { listen, liveClock, makeCalls } from "../threads.ts"
import type { ThreadsOptions } from "../threads.ts"
import type { Link } from "./link.ts"
import { ToLoop } from "./protocol.ts"
import type { Answer, Open } from "./protocol.ts"
import { RemotePool } from "./remotePool.ts"
import { toWire } from "./wireOptions.ts"

/** `id` is the key of the service. */
export const makeRemote = Effect.fnUntraced(function* (
  link: Link,
  id: string,
  options: ThreadsOptions
): Effect.fn.Return<Executor, OffloadError, Scope.Scope> {
  const opened = Deferred.makeUnsafe<Answer | undefined>()
  const { port1, port2 } = new MessageChannel()
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new RemotePool(port1, options, (answer) => Deferred.doneUnsafe(opened, Exit.succeed(answer)))),
    (pool) => shutdown(pool, options.drainTimeout)
  )
  // Dies where `data` cannot be cloned.
  yield* Effect.sync(() => link.port.postMessage({ id, options: toWire(options), port: port2 } satisfies Open, [port2]))
  const answer = yield* Deferred.await(opened)
  const fail = (reason: () => OffloadError["reason"]) => Effect.fail(offloadError(options.name, reason))
  switch (answer?.[0]) {
    case undefined:
      return yield* fail(() => unavailable(undefined))
    case ToLoop.CannotStart:
      return yield* fail(() => unavailable(answer[1]))
    case ToLoop.Differs: {
      const message = `Offload.layerThreads: the event loops of a process share the pool of "${options.name}", but it has other options in another loop`
      return yield* Effect.die(new Error(`${message}: ${answer[1]}`))
    }
    case ToLoop.Died:
      return yield* Effect.die(toError(answer[1]))
    case ToLoop.Opened:
      return {
        ...makeCalls(pool, options.timeout),
        stats: Effect.callback((resume) => pool.stats((stats) => resume(Effect.succeed(stats)))),
        saturation: Effect.sync(() => pool.saturation)
      }
  }
})

/** Waits for the tasks of this loop. Those that are left end; in the pool, as if they were interrupted. */
const shutdown = (pool: RemotePool, drainTimeout: Duration.Duration) =>
  Effect.timeoutOption(
    listen((done) => pool.drain(done)),
    drainTimeout
  ).pipe(Effect.andThen(Effect.sync(() => pool.close())), Effect.provideService(Clock.Clock, liveClock))
