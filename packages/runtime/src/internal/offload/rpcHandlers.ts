/** Serves the wire group of an offload by calling it. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Headers } from "effect/http/Headers"
import * as Stream from "effect/Stream"
import * as Deadline from "../../Deadline.ts"
import { DeadlinePassed, OffloadDefect, TimedOut } from "../../OffloadError.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { CallOptions } from "./executor.ts"
import { offloadError, toFault } from "./outcome.ts"
import { toErrorData } from "./protocol.ts"
import { fromHeaders, RemoteDefect } from "./rpcWire.ts"
import type { TaskDefinition } from "./taskDefinition.ts"

type Result = Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown>
type Client = Readonly<Record<string, (payload: unknown, options: CallOptions) => Result>>
type Handler = (payload: unknown, request: { readonly headers: Headers }) => Result

/** A handler of Effect RPC for every task. */
export const makeHandlers = (tasks: ReadonlyArray<TaskDefinition>, client: Client): Record<string, Handler> => {
  const handlers: Record<string, Handler> = {}
  for (const { name, stream } of tasks) {
    handlers[name] = (payload, { headers }) => {
      const { remaining, ...options } = fromHeaders(headers)
      const result = client[name]!(payload, options)
      return stream
        ? Stream.catchCause(streamWithin(name, result as Stream.Stream<unknown, unknown>, remaining), (cause) =>
            Stream.failCause(toWire(cause))
          )
        : Effect.catchCause(within(name, result as Effect.Effect<unknown, unknown>, remaining), (cause) =>
            Effect.failCause(toWire(cause))
          )
    }
  }
  return handlers
}

/** A task that is ended by the deadline may have run: only its offload could tell, which was interrupted. */
const exceeded = (task: string, remaining: number) =>
  Effect.fail(
    remaining <= 0
      ? offloadError(task, () => new DeadlinePassed())
      : offloadError(task, () => new TimedOut({ timeout: Duration.millis(remaining) }))
  )

const within = (task: string, call: Effect.Effect<unknown, unknown>, remaining: number) =>
  remaining === Infinity
    ? call
    : Effect.flatten(Effect.catch(Deadline.within(Effect.exit(call), remaining), () => exceeded(task, remaining)))

const streamWithin = (task: string, stream: Stream.Stream<unknown, unknown>, remaining: number) => {
  if (remaining === Infinity) return stream
  if (remaining <= 0) return Stream.fromEffect(exceeded(task, remaining))
  return Stream.unwrap(
    Effect.withFiberSucceed((fiber) => {
      const deadline = monotonicMillis(fiber.getRef(Clock.Clock)) + remaining
      return stream.pipe(
        Stream.provideService(Deadline.CurrentDeadline, Math.min(deadline, fiber.getRef(Deadline.CurrentDeadline))),
        Stream.interruptWhen(Effect.andThen(Effect.sleep(remaining), exceeded(task, remaining)))
      )
    })
  )
}

const toWire = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  if (!Cause.hasDies(cause)) return cause
  const defect = Cause.squash(cause)
  const error = toFault(toErrorData(defect instanceof OffloadDefect ? defect.cause : defect))
  return Cause.fail(new RemoteDefect({ error }, { disableChecks: true }))
}
