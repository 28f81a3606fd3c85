/**
 * The lifecycle of a process: starting, ready, draining, stopped.
 *
 * Work that must not be cut off is run through `track`. When the process is asked to stop, `drain` refuses new work and waits for
 * what is in flight, for a bounded time.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { withoutStack } from "./internal/withoutStack.ts"
import * as RuntimeMetrics from "./RuntimeMetrics.ts"

/**
 * Error of work that came after a drain had begun.
 *
 * @category errors
 * @since 0.1.0
 */
export class Draining extends Schema.TaggedError<Draining>("@spillway/runtime/Drain/Draining")("Draining", {}) {
  override get message() {
    return "the process is draining"
  }
}

/**
 * Where a process stands. It only ever moves forward.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "Starting" | "Ready" | "Draining" | "Stopped"

/**
 * Options of `Drain.layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long `drain` waits for tracked work before it interrupts it. `0` interrupts at once, `Infinity` waits without limit.
   *
   * @default "30 seconds"
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The defaults of `Options`. 30 s is the time that Kubernetes gives a pod between SIGTERM and SIGKILL.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { timeout: "30 seconds" } as const

const draining = withoutStack(() => new Draining())
const phases: ReadonlyArray<Phase> = ["Starting", "Ready", "Draining", "Stopped"]

const make = (options: Options = {}): Drain["Service"] => {
  const timeout = Duration.fromInputUnsafe(options.timeout ?? defaults.timeout)
  const fibers = new Map<object, Fiber.Fiber<unknown, unknown>>()
  const began = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  let phase: Phase = "Starting"
  const enter = (next: Phase) =>
    Effect.sync(() => {
      if (phases.indexOf(next) > phases.indexOf(phase)) phase = next
    })
  const begin = Effect.andThen(enter("Draining"), began.open)

  const track = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Draining, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<A, E | Draining, R> => {
        if (phase === "Draining" || phase === "Stopped") return Effect.fail(draining)
        const { context } = fiber
        const key = {}
        fibers.set(key, fiber)
        idle.closeUnsafe()
        RuntimeMetrics.drainInFlight.updateUnsafe(fibers.size, context)
        return Effect.onExitPrimitive(restore(self), () => {
          fibers.delete(key)
          RuntimeMetrics.drainInFlight.updateUnsafe(fibers.size, context)
          if (fibers.size === 0) idle.openUnsafe()
          return undefined
        })
      })
    )

  const interruptAll = Effect.withFiber((fiber) => {
    for (const tracked of fibers.values()) tracked.interruptUnsafe(fiber.id)
    return idle.await
  })

  return {
    phase: Effect.sync(() => phase),
    ready: enter("Ready"),
    begin,
    began: began.await,
    track,
    drain: begin.pipe(
      Effect.andThen(Effect.timeoutOrElse(idle.await, { duration: timeout, orElse: () => interruptAll })),
      Effect.andThen(enter("Stopped"))
    )
  }
}

/**
 * Service that knows the phase of the process and counts work in flight.
 *
 * @category services
 * @since 0.1.0
 */
export class Drain extends Context.Service<
  Drain,
  {
    /** Where the process stands. */
    readonly phase: Effect.Effect<Phase>
    /** Says that the process can take work. Without effect once a drain began. */
    readonly ready: Effect.Effect<void>
    /** Begins a drain and returns at once: readiness is lost and `track` refuses. */
    readonly begin: Effect.Effect<void>
    /** Waits, without limit, until a drain begins. Long-lived responses race with it so that they end in time. */
    readonly began: Effect.Effect<void>
    /**
     * Runs `self` as work in flight. Fails with `Draining`, and does not start it, once a drain began.
     *
     * When the drain's time is over the fiber that called `track` is interrupted.
     */
    readonly track: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Draining, R>
    /**
     * Begins a drain and waits for the tracked work: at most the `timeout` of the options, then until what it interrupts has ended.
     * Calling it again waits again. Its own interruption leaves the drain begun and the work running.
     */
    readonly drain: Effect.Effect<void>
  }
>()("@spillway/runtime/Drain") {
  /**
   * Makes the service. When the layer's scope closes it drains, so that work it tracks ends before what that work needs.
   */
  static readonly layer = (options: Options = {}): Layer.Layer<Drain> =>
    Layer.effect(
      Drain,
      Effect.acquireRelease(
        Effect.sync(() => make(options)),
        (drain) => drain.drain
      )
    )
}
