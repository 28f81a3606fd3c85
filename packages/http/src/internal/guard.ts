import { CurrentDeadline } from "@spillway/runtime/Deadline"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import { ClientAbort } from "effect/http/HttpServerError"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Problem from "../Problem.ts"
import { clientOf, parseAddress } from "./clientAddress.ts"
import type { Trust } from "./clientAddress.ts"
import { exchangeOf, guardedOf } from "./exchange.ts"
import type { Guarded } from "./exchange.ts"
import { withFields } from "./rateLimit/fields.ts"

/** An HTTP app, whatever it fails with. */
export type App = Effect.Effect<HttpServerResponse, unknown, HttpServerRequest | Scope.Scope>

const isClientAbort = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every((reason) => reason._tag === "Interrupt") &&
  cause.reasons.some((reason) => reason.annotations.has(ClientAbort.key))

/** What fails is answered while the handler's deadline still holds: an error may take its time to become a response. */
const answerFailure = (cause: Cause.Cause<unknown>): Effect.Effect<HttpServerResponse> =>
  Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Problem.fromCause(cause)

/** A client that went away gets no answer; its interruption goes on, for the logger and the tracer. */
const toResponse = (cause: Cause.Cause<unknown>): Effect.Effect<HttpServerResponse> =>
  isClientAbort(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Problem.fromCause(cause)

const tooSlow = Effect.succeed(
  Problem.toResponse(Problem.make({ status: 408, detail: "the body of the request came too slowly" }))
)
const exceeded = Effect.succeed(Problem.toResponse(Problem.deadlineExceeded))

/**
 * The app as the server runs it: it can be interrupted, its permit and its deadline end with it, and each failure becomes a problem.
 *
 * The adapter runs a request's fiber uninterruptible, so that a response is always sent; `HttpRouter` opens the handler again, an app
 * without it stays closed and would outlive its client. Here is the one place where every app is opened.
 */
export const guard = (app: App, trust: Trust | undefined): App => {
  const seen = trust === undefined ? app : withClientAddress(app, trust)
  const open = Effect.interruptible(Effect.catchCause(seen, answerFailure))
  return Effect.withFiber((fiber) => {
    const exchange = guardedOf(Context.getUnsafe(fiber.context, HttpServerRequest))
    if (exchange === undefined) return Effect.catchCause(open, toResponse)

    const outer = fiber.context
    exchange.handlerBegan(fiber)
    fiber.setContext(Context.add(outer, CurrentDeadline, exchange.deadline))
    const answered = Effect.matchCauseEffect(open, {
      onSuccess: (response) => {
        exchange.answers(response.body._tag === "Stream" || response.body._tag === "Raw")
        exchange.status = response.status
        end(exchange, fiber, outer)
        return Effect.succeed(response)
      },
      onFailure: (cause) => {
        exchange.answers(false)
        end(exchange, fiber, outer)
        if (!Cause.hasInterruptsOnly(cause)) return toResponse(cause)
        if (exchange.bodyTimedOut) return tooSlow
        return exchange.expired ? exceeded : toResponse(cause)
      }
    })
    const { quota } = exchange
    return quota === undefined ? answered : Effect.map(answered, (response) => withFields(response, quota))
  })
}

/** Lets the app see the client's address where a trusted proxy stands between. */
const withClientAddress = (app: App, isTrusted: Trust): App =>
  Effect.updateService(app, HttpServerRequest, (request) => {
    const peer = Option.flatMapNullishOr(request.remoteAddress, parseAddress)
    if (Option.isNone(peer) || !isTrusted(peer.value)) return request
    const client = NetAddress.formatIp(clientOf(peer.value, request.headers["x-forwarded-for"], isTrusted))
    const exchange = exchangeOf(request)
    if (exchange !== undefined) exchange.connection.forwardedFor = client
    return request.modify({ remoteAddress: Option.some(client) })
  })

const end = (exchange: Guarded, fiber: Fiber.Fiber<unknown, unknown>, outer: Context.Context<never>): void => {
  exchange.route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route.path ?? ""
  exchange.handlerEnded()
  fiber.setContext(outer)
}
