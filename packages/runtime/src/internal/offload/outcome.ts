/** From how a task ended in the pool to how its effect ends. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  Crashed,
  DeadlinePassed,
  OffloadDefect,
  OffloadError,
  Saturated,
  TimedOut,
  Unavailable
} from "../../OffloadError.ts"
import { withoutStack } from "../withoutStack.ts"
import type { Outcome, PoolTask } from "./poolTask.ts"
import type { ErrorData } from "./protocol.ts"
import type { TaskCodec } from "./taskCodec.ts"

export const offloadError = (task: string, reason: () => OffloadError["reason"]): OffloadError =>
  withoutStack(() => new OffloadError({ task, reason: reason() }, { disableChecks: true }))

/** The error of a worker, on this side, with the stack that it had there. */
const toError = (data: ErrorData): Error => {
  const error = withoutStack(() => new Error(data.message))
  error.name = data.name
  if (data.stack !== undefined) error.stack = data.stack
  return error
}

export const crashed = (exitCode: number, error: ErrorData | undefined): Crashed =>
  new Crashed(error === undefined ? { exitCode } : { exitCode, error: `${error.name}: ${error.message}` })

export const toEffect = (
  task: PoolTask,
  outcome: Outcome,
  codec: TaskCodec,
  load: () => { readonly queued: number; readonly retryAfter: Duration.Duration }
): Effect.Effect<unknown, unknown> => {
  const fail = (reason: () => OffloadError["reason"]) => Effect.fail(offloadError(task.name, reason))
  switch (outcome.type) {
    case "succeeded":
      return codec.decodeSuccess(outcome.value)
    case "failed":
      return codec.decodeError(outcome.error)
    case "defect":
      return Effect.die(withoutStack(() => new OffloadDefect({ task: task.name, cause: toError(outcome.error) })))
    case "saturated":
      return fail(() => new Saturated(load()))
    case "timedOut":
      return fail(() => new TimedOut({ timeout: Duration.millis(task.timeout) }))
    case "deadlineExceeded":
      return fail(() => new DeadlinePassed())
    case "crashed":
      return fail(() => crashed(outcome.exitCode, outcome.error))
    case "unavailable":
      return fail(() => new Unavailable({ detail: outcome.message }))
    case "interrupted":
      return Effect.interrupt
  }
}
