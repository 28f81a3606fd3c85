/**
 * Shorter deadlines for some routes than the server's `requestDeadline`.
 *
 * @since 0.1.0
 */
import * as Deadline from "@spillway/runtime/Deadline"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Types from "effect/Types"
import * as Problem from "./Problem.ts"

/**
 * Creates a `Middleware` that gives the handlers of its routes so much time, counted from the handler's start.
 *
 * **Details**
 *
 * When it is over the handler is interrupted, with all that it started, and the answer is 504. The server's own deadline stays in
 * force if it is earlier. A client that goes away still interrupts the handler. Throws a `RangeError` for a duration that is not
 * positive.
 *
 * **Example** (A route that must be fast)
 *
 * ```ts
 * const search = HttpRouter.add("GET", "/search", handler).pipe(Layer.provide(RequestDeadline.within("500 millis").layer))
 * ```
 *
 * @category middleware
 * @since 0.1.0
 */
export const within = (duration: Duration.Input) => {
  if (!(Duration.toMillis(Duration.fromInputUnsafe(duration)) > 0)) {
    throw new RangeError(`RequestDeadline.within: duration must be > 0, got ${String(duration)}`)
  }
  return HttpRouter.middleware((handler: Effect.Effect<HttpServerResponse, Types.unhandled>) =>
    Effect.catchIf(
      Deadline.within(handler, duration),
      (error): error is Deadline.DeadlineExceeded => error instanceof Deadline.DeadlineExceeded,
      () => Effect.succeed(Problem.toResponse(Problem.deadlineExceeded))
    )
  )
}
