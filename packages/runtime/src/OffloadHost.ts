/**
 * One pool of worker threads for all event loops of a process.
 *
 * A process that runs several event loops, each a worker thread which builds the same layers, would start the threads of every `Offload`
 * once for each loop, with a queue for each. Here the main thread is the host: it owns the pools, and a loop that was given a link to it
 * sends its tasks there. `Offload.layerThreads` finds the link by itself, so the layers of a program stay as they are.
 *
 * @since 0.1.0
 */
import type { MessagePort } from "node:worker_threads"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { makeHost } from "./internal/offload/host/pools.ts"
import { CurrentLink as currentLink } from "./internal/offload/host/link.ts"
import type { Link as HostLink } from "./internal/offload/host/link.ts"

/**
 * Options of `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long a pool is kept that no loop uses, so that loops which are restarted one after the other, or the only one after a crash,
   * find its threads warm. From 0, which closes it at once; `Infinity` keeps it until the host's scope closes.
   *
   * @default "30 seconds"
   */
  readonly keepUnused?: Duration.Input | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { keepUnused: "30 seconds" } as const

/**
 * Owns the pools of all event loops of a process. Made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Host {
  /**
   * Makes a port for one loop: give it to the loop's thread as it starts, in `workerData` and `transferList`, and there to `layerLink`.
   * It serves one loop only. When the scope closes, and also when the loop's thread ends, whatever that loop has waiting or running in
   * the pools is cancelled, as by interruption, and its places go to the others; a pool itself stays.
   */
  readonly connect: Effect.Effect<MessagePort, never, Scope.Scope>
}

/**
 * Creates a host, which belongs to the thread that outlives the loops.
 *
 * **Details**
 *
 * The first loop that builds an offload's `layerThreads` has its pool made, here, with its logs and its metrics; the others share it:
 * its workers, the one queue with its bounds and priorities, and its statistics. The pool is found by the key of the service, its
 * `name` and its worker file. All loops must ask for it with the same options, `data` included, or their layer dies with an `Error` that
 * names the options; what only concerns the caller, `timeout`, may differ. `env`, `argv` and `execArgv` are, where they are not set,
 * those of this thread.
 *
 * When the scope closes, each pool refuses new tasks as `Unavailable`, gives those that run and wait its `drainTimeout`, and ends its
 * threads.
 *
 * **Example** (Two event loops with one pool)
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const host = yield* OffloadHost.make()
 *   for (let i = 0; i < 2; i++) {
 *     const port = yield* host.connect
 *     new Worker(new URL("./loop.ts", import.meta.url), { workerData: { port }, transferList: [port] })
 *   }
 *   yield* Effect.never
 * }).pipe(Effect.scoped)
 *
 * // loop.ts
 * const loop = Layer.provide(app, OffloadHost.layerLink(workerData.port))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Host, never, Scope.Scope> =>
  Effect.suspend(() => {
    const keepUnused = Duration.fromInputUnsafe(options.keepUnused ?? defaults.keepUnused)
    return makeHost(keepUnused)
  })

/**
 * Service that is the host of a process, where a layer makes it.
 *
 * @category services
 * @since 0.1.0
 */
export class OffloadHost extends Context.Service<OffloadHost, Host>()("@spillway/runtime/OffloadHost") {
  static readonly layer = (options: Options = {}): Layer.Layer<OffloadHost> => Layer.effect(OffloadHost, make(options))
}

/**
 * The way from a loop to its host. Made by `layerLink`.
 *
 * @category models
 * @since 0.1.0
 */
export type Link = HostLink

/**
 * The link by which `Offload.layerThreads` finds the host of its pool.
 *
 * @default undefined, and then each layer makes a pool of its own
 * @category references
 * @since 0.1.0
 */
export const CurrentLink: Context.Reference<Link | undefined> = currentLink

/**
 * Runs the tasks of every `Offload.layerThreads` that it is provided to in the pools of the host at the other end of `port`.
 *
 * **Details**
 *
 * Nothing else changes: schemas encode and decode in the loop; bounds, priorities, time limits, cancellation, errors, streams,
 * transfers and traces are those of `layerThreads`, but the workers, the queue and the statistics are shared. When a layer closes, its own
 * tasks get its `drainTimeout`; then those that are left are cancelled, and the pool goes on for the others. When the host is gone,
 * tasks fail as `Unavailable`. With a port that does not come from a host the layers wait without limit.
 *
 * **Gotchas**
 *
 * A buffer that is to move has left this thread when its task has begun, as without a host; one of more than 64 KiB sometimes even though its
 * task was refused in the end.
 *
 * The tasks that ended here without having been sent, those that a full queue refused, are added to the statistics with the next call.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLink = (port: MessagePort): Layer.Layer<never> =>
  Layer.effect(
    currentLink,
    Effect.acquireRelease(Effect.succeed({ port }), (link) => Effect.sync(() => link.port.close()))
  )
