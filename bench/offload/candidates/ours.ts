import * as Offload from "@spillway/runtime/Offload"
import { ManagedRuntime } from "effect"
import type { Effect } from "effect"
import { Tasks } from "../contract.ts"
import { effectPool } from "../pool.ts"
import type { Candidate } from "../pool.ts"

const worker = new URL("../workers/ours.worker.ts", import.meta.url)

class TasksOffload extends Offload.Service<TasksOffload>()("bench/Tasks", Tasks) {}

type AnyCall = (payload: unknown, options?: Offload.CallOptions) => Effect.Effect<unknown, unknown>

/** As by default, but without spares, so that all pools have the same number of threads. */
const make = (options: Partial<Offload.ThreadsOptions>) => async (workers: number) => {
  const runtime = ManagedRuntime.make(TasksOffload.layerThreads({ worker, workers, spares: 0, ...options }))
  const client = (await runtime.runPromise(TasksOffload)) as unknown as Readonly<Record<string, AnyCall>>
  return effectPool(
    runtime,
    ({ payload, priority, task }) => client[task]!(payload, priority === undefined ? undefined : { priority }),
    () => runtime.dispose()
  )
}

export const ours: Candidate = { name: "spillway", make: make({}) }
/** With one spare, as by default: what a runaway task is measured with. */
export const oursWithSpare: Candidate = { name: "spillway, killGrace 100 ms", make: make({ spares: 1 }) }
export const oursAtOnce: Candidate = { name: "spillway, killGrace 0", make: make({ spares: 1, killGrace: 0 }) }
