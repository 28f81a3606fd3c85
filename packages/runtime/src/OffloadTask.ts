/**
 * Annotations of the tasks of an `Offload`: what is true of a task wherever it is called from belongs into its contract.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * What happens to a running task that nobody waits for any more: its caller was interrupted, or its time is over.
 *
 * **Details**
 *
 * `kill`: its signal aborts, and if it has not ended after `killGrace` its thread is ended and replaced. `cooperative`: its signal
 * aborts, and its thread stays busy until it ends by itself: for a task that must not be cut off half-way. A call may say otherwise.
 *
 * **Example** (A task that is never cut off)
 *
 * ```ts
 * Rpc.make("compact", { success: Schema.Int }).annotate(OffloadTask.Cancellation, "cooperative")
 * ```
 *
 * @default "kill"
 * @category references
 * @since 0.1.0
 */
export const Cancellation: Context.Reference<"kill" | "cooperative"> = Context.Reference<"kill" | "cooperative">(
  "@spillway/runtime/OffloadTask/Cancellation",
  { defaultValue: () => "kill" }
)

/**
 * Whether payload, result and error of a task pass as they are, without their schemas: no checks, no encoding.
 *
 * **Details**
 *
 * Saves about a microsecond a call, more for large structures. It is for plain data (what structured clone takes: objects, arrays,
 * dates, maps, typed arrays) whose types are trusted; a schema whose encoded form differs from its type must not be unchecked. Nothing
 * is transferred by an unchecked payload; the worker may still `transfer` its result.
 *
 * @default false
 * @category references
 * @since 0.1.0
 */
export const Unchecked: Context.Reference<boolean> = Context.Reference<boolean>(
  "@spillway/runtime/OffloadTask/Unchecked",
  { defaultValue: () => false }
)
