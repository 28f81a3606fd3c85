/**
 * Several event loops on one port: the same layer in each of several worker threads, watched by the main thread.
 *
 * The main thread serves nothing. It holds the listening sockets, replaces loops that crash or stand still, restarts them one after the
 * other without losing a request, and ends them all when the process stops. The loops share the limits of the door (`maxConcurrent` and
 * `maxQueued` hold for the process), the worker threads of each `Offload`, and what `HealthRoutes` answers.
 *
 * @since 0.1.0
 */
import * as OffloadHost from "@spillway/runtime/OffloadHost"
import * as Main from "@spillway/runtime/Main"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { ResourceLimits } from "node:worker_threads"
import * as HttpMetrics from "./HttpMetrics.ts"
import { CurrentLink } from "./internal/multiLoop/link.ts"
import type { Gone, LoopThread } from "./internal/multiLoop/loopThread.ts"
import * as loopSide from "./internal/multiLoop/loopSide.ts"
import { blockedOf, collect, watch } from "./internal/multiLoop/observe.ts"
import { resolve } from "./internal/multiLoop/options.ts"
import type { Sharing as InternalSharing, SlotState } from "./internal/multiLoop/protocol.ts"
import { endStrays, failsInstead, hangups } from "./internal/multiLoop/process.ts"
import { Supervisor } from "./internal/multiLoop/supervisor.ts"
import type { StartFailure } from "./internal/multiLoop/supervisor.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { sparingly } from "./internal/sparingly.ts"
import { CannotListen, MultiLoopError, StartFailed, StartTimedOut } from "./MultiLoopError.ts"

/**
 * How the loops come by their connections.
 *
 * **Details**
 *
 * - `reusePort`: every loop has a listening socket of its own, over which the kernel spreads new connections evenly (`SO_REUSEPORT`). A
 *   connection that was given to the socket of a loop which stands still waits until that loop is replaced.
 * - `sharedSocket`: all loops accept from one socket; who comes first gets the connection, so that busy ones get fewer, and the shares are
 *   less even. The only way with an inherited socket.
 * - `alone`: the platform has no way to share a port among threads. There is one loop, and a restart has a moment in which nobody listens.
 *
 * @category models
 * @since 0.1.0
 */
export type Sharing = InternalSharing

/**
 * Options of `layer` and `launch`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The module that every loop runs, which calls `serve`: `new URL("./loop.ts", import.meta.url)`. */
  readonly entry: URL
  /**
   * How many loops run. An integer from 1.
   *
   * @default os.availableParallelism()
   */
  readonly loops?: number | undefined
  /**
   * How the loops share their ports. `reusePort` where the system has none is an error at the start.
   *
   * @default the first of `reusePort`, `sharedSocket` and `alone` that the platform has
   */
  readonly sharing?: Sharing | undefined
  /**
   * How long the event loop of a loop may stand still before its thread is terminated and replaced; its requests fail. From 1 second;
   * `Infinity` never terminates one. Kept to a fifth, at most to a second.
   *
   * @default "10 seconds"
   */
  readonly maxBlocked?: Duration.Input | undefined
  /**
   * How long a loop may take from its start until its layer is built. From 1 second; `Infinity` waits without limit.
   *
   * @default "30 seconds"
   */
  readonly startTimeout?: Duration.Input | undefined
  /**
   * How often in a row a loop that serves no more is started again in vain, with pauses that grow from 0.1 to 5 seconds, before the whole
   * fails. An integer from 1. At the first start there is one attempt.
   *
   * @default 5
   */
  readonly maxStartAttempts?: number | undefined
  /**
   * How long a loop that drains may take beyond what its servers may (`preStop + drainTimeout + 1.1 seconds`), for the other finalizers
   * of its layer; then its thread is terminated. From 0; `Infinity` waits without limit.
   *
   * @default "5 seconds"
   */
  readonly closeTimeout?: Duration.Input | undefined
  /**
   * Whether SIGHUP restarts the loops one after the other: while they start, as soon as all of them serve; while they drain it does
   * nothing. Windows has no such signal that could be survived.
   *
   * @default true
   */
  readonly restartOnHangup?: boolean | undefined
  /**
   * Limits of the memory of each loop, as of a worker thread of node. A loop that runs out of it is replaced, but V8 may abort the whole
   * process instead.
   *
   * @default those of node
   */
  readonly resourceLimits?: ResourceLimits | undefined
}

/**
 * The defaults of `Options`.
 *
 * **Details**
 *
 * 10 seconds without a turn is what a watchdog of systemd or a liveness probe of Kubernetes usually allows.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  maxBlocked: "10 seconds",
  startTimeout: "30 seconds",
  maxStartAttempts: 5,
  closeTimeout: "5 seconds",
  restartOnHangup: true
} as const

/**
 * One loop at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoopStatus {
  /** Its number, from 0. */
  readonly loop: number
  /** `down` is between a crash and the next start. */
  readonly state: SlotState
  /** How many threads have been started for it. */
  readonly generation: number
  /** How often it was replaced by one that serves. */
  readonly restarts: number
  /** For how many milliseconds its event loop has not turned, to the precision of `maxBlocked`. */
  readonly blocked: number
  /** The number that node gave to its thread, `undefined` while it has none. */
  readonly threadId: number | undefined
}

/**
 * All loops at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly sharing: Sharing
  /** Whether the process drains. */
  readonly draining: boolean
  /** Where the servers of the loops listen, in the order in which they began to. */
  readonly addresses: ReadonlyArray<{ readonly host: string; readonly port: number }>
  readonly loops: ReadonlyArray<LoopStatus>
}

/**
 * Service that watches over the loops.
 *
 * @category services
 * @since 0.1.0
 */
export class MultiLoop extends Context.Service<
  MultiLoop,
  {
    /** What the loops are doing now. */
    readonly status: Effect.Effect<Status>
    /**
     * Replaces the loops one after the other: the next one serves before the last one stops accepting and drains, so no request is lost.
     * While that happens one more run may be asked for, which all who ask meanwhile share. Fails when a new loop can not start: then it
     * and those after it stay as they were. Its interruption leaves the run going on.
     */
    readonly restart: Effect.Effect<void, MultiLoopError>
    /** The metrics of the main thread and of all loops that answer within 250 ms, as Prometheus text, labelled by `loop`. */
    readonly metrics: Effect.Effect<string>
    /** Waits, without limit, until a loop can not be replaced after `maxStartAttempts`. */
    readonly failed: Effect.Effect<never, MultiLoopError>
  }
>()("@spillway/http/MultiLoop") {}

const toFault = (fault: NonNullable<Gone["fault"]>) => {
  const { message, name, stack } = fault
  return stack === undefined ? { name, message } : { name, message, stack }
}

const toError = ({ gone, thread }: StartFailure, startTimeout: number): MultiLoopError => {
  const { refused } = thread
  const { cause, exitCode, fault } = gone
  const reason =
    refused !== undefined
      ? new CannotListen({ host: refused.address.host, port: refused.address.port, error: toFault(refused.fault) })
      : cause === "late"
        ? new StartTimedOut({ millis: startTimeout })
        : new StartFailed({ exitCode: exitCode ?? 1, ...(fault !== undefined && { error: toFault(fault) }) })
  return new MultiLoopError({ loop: thread.loop, reason })
}

const logGone = (thread: LoopThread, { cause, exitCode, fault }: Gone): Effect.Effect<void> => {
  const details = fault === undefined ? [] : [fault.stack ?? `${fault.name}: ${fault.message}`]
  const terminated =
    exitCode === undefined ? "is given up: it is in native code, which can not be terminated" : "was terminated"
  const what = cause === "blocked" ? `stood still and ${terminated}` : cause === "late" ? terminated : "ended"
  return Effect.logError(`loop ${thread.loop} ${what}`, ...details).pipe(
    Effect.annotateLogs({ loop: thread.loop, generation: thread.generation, cause, exitCode })
  )
}

const statusOf = (supervisor: Supervisor): Status => ({
  sharing: supervisor.options.sharing,
  draining: supervisor.draining,
  addresses: supervisor.slots.find(({ current }) => current !== undefined)?.current?.addresses ?? [],
  loops: supervisor.slots.map((slot) => ({
    loop: slot.loop,
    state: supervisor.stateOf(slot),
    generation: slot.generation,
    restarts: slot.restarts,
    blocked: blockedOf(supervisor, slot),
    threadId: slot.current?.threadId
  }))
})

/**
 * Starts the loops and waits until all of them serve. They end with the scope.
 *
 * **Details**
 *
 * Fails with a `MultiLoopError` when a loop can not start. Dies with a `RangeError` for an option outside its range. When the scope closes,
 * all loops drain at once as `Server` does; one that takes too long is terminated. One in native code can not be: after 5 seconds it is
 * given up, and if it is still there at the end of the process, the process ends itself with SIGKILL.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  input: Options
): Effect.fn.Return<MultiLoop["Service"], MultiLoopError, Scope.Scope> {
  const { restartOnHangup, ...options } = resolve(input, defaults)
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const beginHangups = restartOnHangup ? yield* hangups : undefined
  const run = yield* FiberSet.makeRuntime<never, void>()
  const fork = (effect: Effect.Effect<void>): void => void run(effect)
  const host = yield* OffloadHost.make()
  const fail = (failure: StartFailure) => toError(failure, options.startTimeout)

  const supervisor: Supervisor = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Supervisor(options, host, {
          fork,
          now: () => monotonicMillis(clock),
          metrics: Effect.suspend(() => told),
          gone: (thread, gone) =>
            thread.generation === 1 && thread.readyAt === undefined ? Effect.void : logGone(thread, gone),
          cannotStart: (failure) => Effect.logError("gave up", fail(failure)),
          restarted: ({ generation, loop }, reason) =>
            Effect.andThen(
              Metric.update(Metric.withAttributes(HttpMetrics.loopRestarts, { loop: String(loop), reason }), 1),
              Effect.annotateLogs(Effect.logInfo(`loop ${loop} was replaced`), { loop, generation, reason })
            )
        })
    ),
    (supervisor) =>
      Effect.andThen(
        supervisor.close,
        Effect.suspend(() => endStrays(supervisor))
      )
  )
  const metrics = collect(supervisor, context)
  const told = sparingly(metrics)
  yield* Effect.forkScoped(watch(supervisor, context))
  if (options.sharing === "alone") yield* Effect.logWarning("threads can not share a port here: there is one loop")
  yield* Effect.mapError(supervisor.startAll, fail)
  const { loops, sharing } = options
  yield* Effect.annotateLogs(Effect.logInfo("all loops serve"), { loops, sharing })
  const restart = Effect.mapError(supervisor.restart, fail)
  beginHangups?.(() => {
    if (!supervisor.draining) fork(Effect.catch(restart, (error) => Effect.logError("the restart failed", error)))
  })
  return {
    status: Effect.sync(() => statusOf(supervisor)),
    restart,
    metrics,
    failed: Effect.mapError(Deferred.await(supervisor.failed), fail)
  }
})

/**
 * Runs the loops until it is interrupted, or until one of them can not be replaced: then it fails with a `MultiLoopError`. Its
 * interruption drains.
 *
 * **Example** (The main program, and what each loop runs)
 *
 * ```ts
 * // main.ts
 * MultiLoop.launch({ entry: new URL("./loop.ts", import.meta.url) }).pipe(Main.run)
 *
 * // loop.ts
 * MultiLoop.serve(HttpRouter.serve(routes).pipe(Layer.provide(Server.layer({ port: 8080 }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const launch = (options: Options): Effect.Effect<never, MultiLoopError> =>
  Effect.scoped(Effect.flatMap(make(options), ({ failed }) => failed))

/**
 * Provides `MultiLoop`, for programs whose main thread does more than `launch`.
 *
 * **Details**
 *
 * Behaves like `make`. A layer that was built can not fail: when a loop can not be replaced any more, the error is logged and the fiber
 * that built the layer is interrupted, which ends `Layer.launch`; `Main.run` then exits with 1.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<MultiLoop, MultiLoopError> =>
  Layer.effect(
    MultiLoop,
    Effect.withFiber((fiber) =>
      Effect.tap(make(options), ({ failed }) =>
        Effect.forkScoped(
          Effect.catchCause(failed, (cause) => {
            // The interruption of the scope that the fiber forked here belongs to.
            if (Cause.hasInterruptsOnly(cause)) return Effect.void
            process.once("exit", failsInstead)
            return Effect.sync(() => fiber.interruptUnsafe())
          })
        )
      )
    )
  )

/**
 * Runs a layer in this loop until the loop is closed, or the layer fails, which ends the loop. To be called once, by the entry module.
 *
 * **Details**
 *
 * A `Server.layer` in it listens on the sockets of the process and shares the limits of its door. When the loop is closed the scope of the
 * layer closes, so the server drains. Run outside of a loop, `node loop.ts`, it is the main program of a process with one loop.
 *
 * Logs of the loop are annotated with its number; an error that nobody caught ends the loop and is logged by the main thread.
 *
 * @category running
 * @since 0.1.0
 */
export const serve = <A, E>(layer: Layer.Layer<A, E>): void => {
  const boot = loopSide.bootOf()
  if (boot === undefined) return Main.run(Layer.launch(layer))
  loopSide.run(layer, boot)
}

/**
 * Which loop this is.
 *
 * @category models
 * @since 0.1.0
 */
export interface CurrentLoop {
  /** Its number, from 0. */
  readonly loop: number
  /** How many there are. */
  readonly loops: number
  /** How many threads have been started for it, this one included. */
  readonly generation: number
}

/**
 * Tells in which loop it runs, `undefined` outside of any.
 *
 * @category combinators
 * @since 0.1.0
 */
export const currentLoop: Effect.Effect<CurrentLoop | undefined> = Effect.map(CurrentLink, (link) => {
  if (link === undefined) return undefined
  const { generation, loop, loops } = link.boot
  return { loop, loops, generation }
})
