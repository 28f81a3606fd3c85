/** Tasks on the caller's own thread, behind the same bounds and with the same errors: for tests. */
import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Bulkhead from "../../Bulkhead.ts"
import { CurrentDeadline } from "../../Deadline.ts"
import { OffloadDefect, Saturated, TimedOut } from "../../OffloadError.ts"
import { TaskFailure } from "../../OffloadWorker.ts"
import type { TaskContext } from "../../OffloadWorker.ts"
import { offloadError } from "./outcome.ts"
import { monotonicMillis } from "./protocol.ts"
import type { TaskCodec } from "./taskCodec.ts"

export type InlineHandler = (payload: unknown, context: TaskContext<unknown>) => unknown

/** Runs one task in the queue of `bulkhead`. */
export const callInline = (
  bulkhead: Bulkhead.Bulkhead,
  task: string,
  handler: InlineHandler,
  codec: TaskCodec,
  payload: unknown,
  timeout: number
): Effect.Effect<unknown, unknown> => {
  const run = Effect.flatMap(runHandler(task, handler, codec, payload), codec.decodeSuccess)
  const timed = Effect.timeoutOrElse(run, {
    duration: timeout,
    orElse: () => Effect.fail(offloadError(task, () => new TimedOut({ timeout: Duration.millis(timeout) })))
  })
  return Effect.catchIf(
    bulkhead.withPermit(timeout === Infinity ? run : timed),
    (error) => error instanceof Bulkhead.BulkheadFull && error.bulkhead === bulkhead.name,
    (error) => {
      const { queued, retryAfter } = error as Bulkhead.BulkheadFull
      return Effect.fail(offloadError(task, () => new Saturated({ queued, retryAfter })))
    }
  )
}

const runHandler = (task: string, handler: InlineHandler, codec: TaskCodec, payload: unknown) =>
  Effect.withFiber((fiber) =>
    Effect.callback<unknown, unknown>((resume, signal) => {
      const limit = fiber.getRef(CurrentDeadline)
      const fail = (error: unknown) =>
        resume(
          error instanceof TaskFailure
            ? codec.decodeError(error.error)
            : Effect.die(new OffloadDefect({ task, cause: error }))
        )
      const context: TaskContext<unknown> = {
        signal,
        deadline: limit === Infinity ? undefined : limit,
        remaining: () => Math.max(0, limit - monotonicMillis()),
        fail: (error) => new TaskFailure(error)
      }
      try {
        const result = handler(payload, context)
        if (Effect.isEffect(result)) {
          resume(Effect.catch(result as Effect.Effect<unknown, unknown>, codec.decodeError))
        } else {
          Promise.resolve(result).then((value) => resume(Effect.succeed(value)), fail)
        }
      } catch (error) {
        fail(error)
      }
    })
  )
