/**
 * The deadline of a request as a header field, so that a server knows how long its client will wait, and does no work that nobody
 * waits for any more.
 *
 * The field is `X-Request-Timeout-Ms`: the time that is left when the request is sent, in whole milliseconds, 1 to 10 digits. It is
 * relative, so that the clocks of two machines need not agree; the way there is not counted. RFC 9110 has no such field, and `wait` of
 * RFC 7240 has whole seconds only, so three fields of others are understood, too (see `remainingOf`).
 *
 * `Server` heeds them for every request: see its option `requestDeadline`. This module is for those who send.
 *
 * @since 0.1.0
 */
import * as Deadline from "@spillway/runtime/Deadline"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as fields from "./internal/deadlineFields.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { withoutStack } from "./internal/withoutStack.ts"

/**
 * The name of the field, as node and Effect spell it.
 *
 * @category constants
 * @since 0.1.0
 */
export const name: string = fields.name

/**
 * Header fields as node and as Effect have them: names in lower case.
 *
 * @category models
 * @since 0.1.0
 */
export type Fields = fields.Fields

/**
 * How many milliseconds the client of a request will wait for its answer, as its header fields say; `undefined` if they do not.
 *
 * **Details**
 *
 * The smallest of `X-Request-Timeout-Ms`, `X-Envoy-Expected-Rq-Timeout-Ms` (set by Envoy for the servers behind it),
 * `Connect-Timeout-Ms` (the Connect protocol) and `Grpc-Timeout` (at most 8 digits and one of `H`, `M`, `S`, `m`, `u`, `n`). Values that
 * are malformed, longer, or given twice are ignored. Only in the first field does 0 say that the time is over. It is pure and takes
 * well under a microsecond.
 *
 * **Gotchas**
 *
 * Anybody can send it, so it may only ever shorten a deadline.
 *
 * **Example** (What is left)
 *
 * ```ts
 * DeadlineHeader.remainingOf({ "x-request-timeout-ms": "1500", "grpc-timeout": "1S" }) // 1000
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const remainingOf: (headers: Fields) => number | undefined = fields.remainingOf

const most = 9_999_999_999

const stamp = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientRequest.HttpClientRequest, Deadline.DeadlineExceeded> =>
  Effect.withFiber((fiber) => {
    const deadline = fiber.getRef(Deadline.CurrentDeadline)
    if (deadline === Infinity) return Effect.succeed(request)
    const left = Math.floor(deadline - monotonicMillis(fiber.getRef(Clock.Clock)))
    if (left < 1) return Effect.fail(withoutStack(() => new Deadline.DeadlineExceeded({ budget: Duration.zero })))
    const given = fields.millisOf(request.headers[name]) ?? most
    return Effect.succeed(HttpClientRequest.setHeader(request, name, String(Math.min(left, given))))
  })

/**
 * Wraps an `HttpClient` so that its requests carry what is left of the current `Deadline` in `X-Request-Timeout-Ms`.
 *
 * **Details**
 *
 * The time is read when a request is sent, for each attempt of a client that repeats it. A request with a smaller value of its own keeps that.
 * Without a deadline nothing is added. With less than a millisecond left nothing is sent, and it fails with `DeadlineExceeded`.
 *
 * It does not end the request when the time is over: whoever set the deadline does, by `Deadline.within` or the server's own.
 *
 * **Example** (Half a second, also for the server)
 *
 * ```ts
 * const users = client.pipe(DeadlineHeader.withDeadline)
 * const user = users.get("http://users/1").pipe(Deadline.within("500 millis"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withDeadline = <E, R>(
  self: HttpClient.HttpClient.With<E, R>
): HttpClient.HttpClient.With<E | Deadline.DeadlineExceeded, R> =>
  // Not `mapRequestEffect`: that part of a client may run once for several attempts.
  HttpClient.makeWith<E | Deadline.DeadlineExceeded, R, E | Deadline.DeadlineExceeded, R>(
    (request) => (self.postprocess as Loose<E, R>)(Effect.flatMap(request, stamp)),
    self.preprocess
  )

/** A client's last step lets errors of the step before it pass, whatever its type says. */
type Loose<E, R> = HttpClient.HttpClient.Postprocess<E | Deadline.DeadlineExceeded, R>
