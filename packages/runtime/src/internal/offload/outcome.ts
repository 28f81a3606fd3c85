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
import type { Fault } from "../../OffloadError.ts"
import { withoutStack } from "../withoutStack.ts"
import type { Outcome, PoolTask, Trouble } from "./pool/poolTask.ts"
import type { ErrorData } from "./protocol.ts"
import type { TaskCodec } from "./taskDefinition.ts"

export const offloadError = (task: string, reason: () => OffloadError["reason"]): OffloadError =>
  withoutStack(() => new OffloadError({ task, reason: reason() }, { disableChecks: true }))

/** The error of a worker, on this side, with the stack that it had there. */
export const toError = (data: ErrorData): Error => {
  const options = data.cause === undefined ? undefined : { cause: toError(data.cause) }
  const error = withoutStack(() => new Error(data.message, options))
  error.name = data.name
  if (data.stack !== undefined) error.stack = data.stack
  return data.code === undefined ? error : Object.assign(error, { code: data.code })
}

export const toFault = ({ message, name, stack }: ErrorData): Fault =>
  stack === undefined ? { name, message } : { name, message, stack }

const fault = (error: ErrorData | undefined) => (error === undefined ? {} : { error: toFault(error) })

export const unavailable = (trouble: Trouble | undefined): Unavailable =>
  trouble === undefined
    ? new Unavailable({ why: "Closed" })
    : new Unavailable({
        why: "CannotStart",
        worker: trouble.worker,
        exitCode: trouble.exitCode,
        ...fault(trouble.error)
      })

export const toEffect = (
  task: Pick<PoolTask, "kind" | "request">,
  outcome: Outcome,
  codec: TaskCodec,
  load: () => { readonly queued: number; readonly retryAfter: Duration.Duration }
): Effect.Effect<unknown, unknown> => {
  const { name } = task.kind
  const fail = (reason: () => OffloadError["reason"]) => Effect.fail(offloadError(name, reason))
  switch (outcome.type) {
    case "succeeded":
      return codec.decodeSuccess(outcome.value)
    case "failed":
      return codec.decodeError(outcome.error)
    case "defect":
      return Effect.die(withoutStack(() => new OffloadDefect({ task: name, cause: toError(outcome.error) })))
    case "saturated":
      return fail(() => new Saturated({ why: outcome.refusal, ...load() }))
    case "timedOut":
      return fail(() => new TimedOut({ timeout: Duration.millis(task.request.timeout) }))
    case "deadlinePassed":
      return fail(() => new DeadlinePassed())
    case "crashed":
      return fail(() => new Crashed({ exitCode: outcome.exitCode, ...fault(outcome.error) }))
    case "unavailable":
      return fail(() => unavailable(outcome.trouble))
    case "interrupted":
      return Effect.interrupt
  }
}
