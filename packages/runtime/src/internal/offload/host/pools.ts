/** The host: makes each pool when the first loop asks for it, and closes it when no loop has used it for a while. */
import { MessageChannel } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Host } from "../../../OffloadHost.ts"
import { toErrorData } from "../protocol.ts"
import { listen, makePool } from "../threads.ts"
import type { Lease } from "./lease.ts"
import type { Open } from "./protocol.ts"
import { SharedPool } from "./sharedPool.ts"
import { fromWire } from "./wireOptions.ts"

export const makeHost = Effect.fnUntraced(function* (
  keepUnused: Duration.Duration
): Effect.fn.Return<Host, never, Scope.Scope> {
  const links = new Set<LoopLink>()
  // After the pools have closed, whose last answers go to the loops.
  yield* Effect.addFinalizer(() => Effect.sync(() => links.forEach((link) => link.close())))
  const run = yield* FiberSet.makeRuntime<never, void>()
  const pools = new Map<string, SharedPool>()
  let closing = false
  yield* Effect.addFinalizer(() => Effect.sync(() => void (closing = true)))

  const open = (request: Open): Lease | undefined => {
    if (closing) {
      request.port.close()
      return undefined
    }
    const { id, options } = request
    const key = JSON.stringify([id, options.name, options.worker])
    const known = pools.get(key)
    if (known !== undefined) return known.lease(request)
    const shared = new SharedPool(options)
    const lease = shared.lease(request)
    pools.set(key, shared)
    const forget = () => {
      if (pools.get(key) === shared) pools.delete(key)
    }
    run(serve(shared, keepUnused, forget))
    return lease
  }

  const connect = Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const link = new LoopLink(open, () => links.delete(link))
        links.add(link)
        return link
      }),
      (link) => Effect.sync(() => link.close())
    ),
    (link) => link.ofLoop
  )
  return { connect }
})

/** The life of a pool: from the first loop that uses it until none has for a while. `forget`: from now on it is another one. */
const serve = (shared: SharedPool, keepUnused: Duration.Duration, forget: () => void): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Effect.sync(() => shared.dispose()))
    const { options } = shared
    const made = yield* Effect.suspend(() => makePool(fromWire(options), shared.ran))
    shared.made(made)
    yield* listen((done) => made.pool.whenStarted(done))
    shared.started()
    // The layers of the loops that wait for it fail; the next one tries anew.
    if (made.pool.crew.trouble !== undefined) return forget()
    for (;;) {
      yield* listen((done) => shared.when(false, done))
      yield* Effect.timeoutOption(
        listen((done) => shared.when(true, done)),
        keepUnused
      )
      if (shared.leases.size === 0) return forget()
    }
  }).pipe(
    // What the pool dies of, the layers of the loops that wait for it die of too.
    Effect.catchCause((cause) =>
      Effect.suspend(() => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        forget()
        if (shared.leases.size === 0) return Effect.logError("a pool of worker threads could not be made", cause)
        shared.failed(toErrorData(Cause.squash(cause)))
        return Effect.void
      })
    ),
    Effect.scoped
  )

/** The host's end of the way to one loop. */
class LoopLink {
  readonly ofLoop: MessagePort
  readonly #port: MessagePort
  readonly #leases = new Set<Lease>()
  readonly #closed: () => void

  constructor(open: (request: Open) => Lease | undefined, closed: () => void) {
    const { port1, port2 } = new MessageChannel()
    this.ofLoop = port2
    this.#port = port1
    this.#closed = closed
    port1.on("message", (request: Open) => {
      const lease = open(request)
      if (lease === undefined) return
      this.#leases.add(lease)
      lease.onEnd(() => this.#leases.delete(lease))
    })
    port1.on("close", () => this.close())
    // The loop's thread keeps the process alive, as long as there is one.
    port1.unref()
  }

  close(): void {
    this.#port.close()
    for (const lease of this.#leases) lease.end()
    this.#closed()
  }
}
