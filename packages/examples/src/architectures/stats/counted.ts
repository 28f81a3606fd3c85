/** Counts what becomes of each request. */
import * as Problem from "@spillway/http/Problem"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ClientAbort } from "effect/http/HttpServerError"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type { Stats } from "./stats.ts"

/** Who asks how the server is doing does not change the answer. */
const watching = new Set(["/stats", "/livez", "/readyz", "/metrics"])

const pathOf = (url: string): string => {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

const clientWentAway = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason.annotations.has(ClientAbort.key))

const overloaded = 503

/** Answers each failure of `app` with the problem that fits, and counts the request. An interruption stays one. */
export const counted = <E, R>(
  stats: Stats["Service"],
  app: Effect.Effect<HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse, E, R | HttpServerRequest> => {
  const answered = (cause: Cause.Cause<E>) =>
    Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Problem.fromCause(cause)
  const ended = (exit: Exit.Exit<HttpServerResponse, E>) => {
    stats.add("active", -1)
    if (Exit.isSuccess(exit)) stats.add(exit.value.status === overloaded ? "rejected" : "processed", 1)
    // Its deadline interrupts a handler too, but then there is an answer.
    else stats.add(clientWentAway(exit) ? "interrupted" : "processed", 1)
  }
  // Not interruptible but for the handler, so that whatever begins ends.
  const watched = Effect.uninterruptibleMask((restore) => {
    stats.began()
    return Effect.matchCauseEffect(restore(app), {
      onSuccess: (response) => {
        const exit = Exit.succeed(response)
        ended(exit)
        return exit
      },
      onFailure: (cause) => Effect.onExit(answered(cause), (exit) => Effect.sync(() => ended(exit)))
    })
  })
  const unwatched = Effect.catchCause(app, answered)
  return Effect.flatMap(HttpServerRequest, ({ url }) => (watching.has(pathOf(url)) ? unwatched : watched))
}
