/** What runs the tasks of an offload: threads, the caller's own thread, or another machine. The client is the same for all. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Stats } from "../../Offload.ts"
import type { TaskDefinition } from "./taskDefinition.ts"

/** What the caller may say about one call. */
export interface CallOptions {
  readonly timeout?: Duration.Input | undefined
  readonly priority?: "high" | "normal" | "low" | undefined
  readonly cancellation?: "kill" | "cooperative" | undefined
  readonly onProgress?: ((value: unknown) => void) | undefined
  /** Of a stream only. */
  readonly bufferSize?: number | undefined
}

export interface Executor {
  readonly run: (task: TaskDefinition, payload: unknown, options: CallOptions) => Effect.Effect<unknown, unknown>
  readonly stream: (task: TaskDefinition, payload: unknown, options: CallOptions) => Stream.Stream<unknown, unknown>
  readonly stats: Effect.Effect<Stats>
  /** How near it is to refusing, from 0 to 1. Known at once. */
  readonly saturation: Effect.Effect<number>
}

/** Where the client keeps how to ask for statistics. */
export const StatsKey: unique symbol = Symbol.for("@spillway/runtime/Offload/stats")

/** And how to ask how full it is. */
export const SaturationKey: unique symbol = Symbol.for("@spillway/runtime/Offload/saturation")

/** The priority classes of `AdmissionQueue`, by name. */
export const priorityClass = { high: 0, normal: 1, low: 2 }

const noOptions: CallOptions = {}

/** A function for every task. */
export const makeClient = <Client>(tasks: ReadonlyArray<TaskDefinition>, executor: Executor): Client => {
  const calls: Record<PropertyKey, unknown> = { [StatsKey]: executor.stats, [SaturationKey]: executor.saturation }
  for (const task of tasks) {
    const call = task.stream ? executor.stream : executor.run
    calls[task.name] = (payload: unknown, options: CallOptions = noOptions) => call(task, payload, options)
  }
  return calls as Client
}
