/**
 * A new thread of the operating system for every request, as many as there are requests. It ends with its request.
 *
 * No client waits for another. But a thread of Node is an engine of its own, with its own heap, and the modules loaded anew: to make one
 * costs far more than most requests, and nothing says how many there may be.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type { Socket } from "node:net"
import { MessageChannel, Worker } from "node:worker_threads"
import { listen } from "./connections/acceptor.ts"
import { carry } from "./connections/portDuplex.ts"
import { timeouts } from "./settings.ts"
import { sample } from "./stats/eventLoop.ts"
import { share, Stats } from "./stats/stats.ts"
import type { Start } from "./threadPerRequest.worker.ts"

const name = "thread-per-request"

const file = new URL("./threadPerRequest.worker.ts", import.meta.url)

// #region thread
/** Succeeds when the thread has ended. Interruption ends it. The socket ends with its port, behind the last bytes. */
const serveOnNewThread = (socket: Socket, receive: number) =>
  Effect.callback<void>((resume) => {
    const { port1, port2 } = new MessageChannel()
    const start: Start = { architecture: name, receive, port: port2 }
    const thread = new Worker(file, { workerData: start, transferList: [port2] })
    carry(socket, port1, receive)
    thread.once("error", (error) => resume(Effect.logError("a thread failed", error)))
    thread.once("exit", () => resume(Effect.void))
    return Effect.promise(() => thread.terminate())
  }).pipe(Effect.onError(() => Effect.sync(() => socket.destroySoon())))
// #endregion

const server = Effect.gen(function* () {
  const stats = yield* Stats
  const { drain, receive } = yield* timeouts
  const threads = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(threads)()
  yield* Effect.addFinalizer(() => Effect.timeoutOption(FiberSet.awaitEmpty(threads), drain))
  yield* sample
  yield* listen(name, (socket) => {
    const counted = Effect.acquireUseRelease(
      Effect.sync(() => stats.add("workers", 1)),
      () => serveOnNewThread(socket, Duration.toMillis(receive)),
      () => Effect.sync(() => stats.add("workers", -1))
    )
    run(counted)
  })
  return yield* Effect.never
})

export const program = Effect.suspend(() => Effect.scoped(server).pipe(Effect.provide(Stats.layer(share(1)))))
