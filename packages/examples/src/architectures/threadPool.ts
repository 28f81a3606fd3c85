/**
 * A fixed number of threads, made at the start, and a bounded queue of connections.
 *
 * A thread is held from the moment it takes a connection up until the response is written. So as many slow clients as there are threads
 * stop the server, whatever the others want: nothing in a pool tells a client that is slow from one that is served.
 */
import { range } from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { Socket } from "node:net"
import { availableParallelism } from "node:os"
import { MessageChannel } from "node:worker_threads"
import * as Balancing from "./balancing/balancing.ts"
import { makeOverloadAlarm } from "./balancing/overloadAlarm.ts"
import { closed, WorkQueues } from "./balancing/workQueues.ts"
import { listen } from "./connections/acceptor.ts"
import { carry } from "./connections/portDuplex.ts"
import * as Refusals from "./connections/refusals.ts"
import { pool, timeouts } from "./settings.ts"
import { sample } from "./stats/eventLoop.ts"
import { countRespawns } from "./stats/respawns.ts"
import { share, Stats } from "./stats/stats.ts"
import { Serving } from "./threadPool.contract.ts"

const name = "thread-pool"

/** A thread of the pool, which is replaced if it crashes. */
const startThread = Effect.fnUntraced(function* (receive: Duration.Duration) {
  const layer = Serving.layerThreads({
    name,
    worker: new URL("./threadPool.worker.ts", import.meta.url),
    data: { architecture: name, receive: Duration.toMillis(receive) },
    workers: 1,
    // Each thread is one that serves: none waits to take the place of another.
    spares: 0,
    // A thread is given a connection when it is free. It is not while its successor starts.
    maxQueued: 1,
    // Many threads that load their modules at once on few cores take their time.
    startTimeout: "2 minutes"
  })
  return Context.get(yield* Layer.build(Layer.fresh(layer)), Serving)
})

interface Pool {
  readonly threads: ReadonlyArray<Serving["Service"]>
  readonly connections: WorkQueues<Socket>
  /** How long a request may take to arrive, and a client to take a part of the answer. */
  readonly receive: Duration.Duration
}

/** Holds the thread until the connection is closed. A thread that crashes takes only its connection along. */
const serveOn = (thread: Serving["Service"], socket: Socket, timeout: number) =>
  Effect.suspend(() => {
    const { port1, port2 } = new MessageChannel()
    carry(socket, port1, timeout)
    // When it is served the socket ends with its port, behind the last bytes: that the thread is done may be heard before they are.
    return Effect.onError(thread.serve({ port: port2 as never }), () => Effect.sync(() => socket.destroySoon()))
  }).pipe(Effect.catch((error) => Effect.logError("a thread failed", error)))

/** The life of every thread; ends when all queues are closed and empty. */
const workOn = Effect.fnUntraced(function* ({ connections, receive, threads }: Pool) {
  const stats = yield* Stats
  const isOverloaded = makeOverloadAlarm(threads.length)

  // #region worker
  /** What each thread does all its life: it takes a connection, and is busy with it until it is closed. */
  const work = (thread: Serving["Service"], index: number) =>
    Effect.gen(function* () {
      for (;;) {
        const connection = yield* connections.take(index)
        if (connection === closed) return
        stats.set("queued", connections.size)
        if (isOverloaded(connections.busy))
          yield* Effect.logWarning(`${connections.busy} of ${threads.length} threads are busy`)
        yield* serveOn(thread, connection, Duration.toMillis(receive))
      }
    })
  // #endregion

  yield* Effect.forEach(threads, work, { concurrency: "unbounded", discard: true })
})

const server = Effect.gen(function* () {
  const stats = yield* Stats
  const { balancing, maxQueued, workers } = yield* pool
  const { drain, receive } = yield* timeouts
  const refuse = yield* Refusals.make
  const threads = yield* Effect.forEach(range(1, workers), () => startThread(receive), {
    concurrency: availableParallelism()
  })
  const connections = new WorkQueues<Socket>(workers, maxQueued, Balancing.all[balancing])
  const working = yield* Effect.forkScoped(workOn({ threads, connections, receive }))
  // Runs when nobody is accepted any more: wakes every thread, lets them finish what is queued, and joins them.
  yield* Effect.addFinalizer(() => {
    connections.close()
    return Effect.timeoutOption(Fiber.await(working), drain)
  })
  stats.set("workers", workers)
  yield* sample
  yield* countRespawns(threads)
  yield* listen(name, (socket) => {
    if (!connections.offer(socket)) refuse(socket)
    stats.set("queued", connections.size)
  })
  return yield* Effect.never
})

export const program = Effect.suspend(() => Effect.scoped(server).pipe(Effect.provide(Stats.layer(share(1)))))
