/**
 * What `Admission.make` takes.
 *
 * @since 0.1.0
 */
import type { AdaptiveLimit } from "@spillway/runtime/AdaptiveLimit"
import type { Budget as QueueBudget, SheddingOptions } from "@spillway/runtime/AdmissionQueue"
import type { LoadSignals } from "@spillway/runtime/LoadSignals"
import type * as Effect from "effect/Effect"
import type { LoopPace } from "./LoopPace.ts"

/**
 * What several doors have in common, those of the event loops of one process for example: permits, and places to wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget extends Required<QueueBudget> {
  /** Permits that nobody holds at this moment, as far as one look tells. */
  readonly free: number
  /**
   * Tells the other doors since when the first of this one waits, in milliseconds of the monotonic clock (`undefined`: nobody waits):
   * who waits longest is served first, whatever the door. Says whether a permit is free now, for which those who wait are to try.
   */
  publish(since: number | undefined): boolean
  /** Calls `retry` whenever there may be a permit for those who wait. Runs for ever. */
  watch(retry: () => void): Effect.Effect<never>
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** How many requests may be inside at once. An integer from 1, or `Infinity` for no limit. */
  readonly maxConcurrent: number
  /**
   * How many requests may wait. An integer from 0, or `Infinity` for no bound. `0` refuses whatever cannot start at once. Those that have a
   * permit to hope for and only wait for their turn, while the loop is in pace, are not counted: they are as many as come in a turn or two.
   */
  readonly maxQueued: number
  /** The longest wait in milliseconds, from 0. `Infinity` waits without limit. */
  readonly maxWait: number
  /**
   * When those who wait are turned away before `maxWait`, and the newest come first: see `AdmissionQueue.Options.codel`.
   *
   * @default undefined
   */
  readonly codel?: SheddingOptions | undefined
  /**
   * The shares of the partitions: see `AdmissionQueue.Options.partitions`.
   *
   * @default [1]
   */
  readonly partitions?: ReadonlyArray<number> | undefined
  /**
   * Finds the number of permits, from what the requests tell when they leave. `maxConcurrent` is the most it may be.
   *
   * @default undefined
   */
  readonly limit?: AdaptiveLimit | undefined
  /**
   * What says how near the process is to its limits. Whoever made it samples it.
   *
   * @default undefined
   */
  readonly signals?: LoadSignals | undefined
  /**
   * Starts handlers no faster than the event loop carries them to their end.
   *
   * @default undefined
   */
  readonly pace?: LoopPace | undefined
  /** The monotonic clock in milliseconds. */
  readonly now: () => number
  /**
   * A random number from 0 to 1, for the jitter of `retryAfterSeconds`.
   *
   * @default Math.random
   */
  readonly random?: (() => number) | undefined
  /**
   * Runs a function in a later turn of the event loop.
   *
   * @default setImmediate
   */
  readonly defer?: ((run: () => void) => void) | undefined
  /**
   * What this door shares with others: `maxConcurrent` and `maxQueued` then hold for all of them together.
   *
   * @default undefined
   */
  readonly budget?: Budget | undefined
}
