/**
 * The table from error to status, the only one in Spillway. Every answer that is not the handler's own is a problem details object
 * of RFC 9457 (`application/problem+json`).
 *
 * | what happened | status |
 * |---|---|
 * | a `Problem` | its own |
 * | `BulkheadFull`, `TaskGroupFull`, `OffloadError` (`Saturated`, `Unavailable`) | 503, `Retry-After` |
 * | `Draining`, interruption by the server | 503, `Retry-After` |
 * | `DeadlineExceeded`, `OffloadError` (`TimedOut`, `DeadlinePassed`) | 504 |
 * | `OffloadError` (`Disconnected`): the task may have run, so no `Retry-After` | 502 |
 * | `RateLimited` | 429, `Retry-After`, `RateLimit`, `RateLimit-Policy` |
 * | no route, `NoSuchElementError` | 404 |
 * | `JsonBodyError` | 400, 408, 413, 415, 422, 503 |
 * | a body that Effect's own readers refuse | 413 if too large, else 400 |
 * | a `SchemaError` | 422 with the place |
 * | any other error that is `Respondable` | its own response |
 * | anything else, and every defect | 500 without internals; the cause is logged |
 *
 * @since 0.1.0
 */
import type { BulkheadFull } from "@spillway/runtime/Bulkhead"
import type { OffloadError } from "@spillway/runtime/OffloadError"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerError from "effect/http/HttpServerError"
import * as Respondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { http } from "./internal/nodeHttp.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import type { JsonBodyError } from "./JsonBody.ts"
import type { RateLimited } from "./RateLimit.ts"

/**
 * A problem as a typed error: fail with it anywhere in a handler, and it is the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class Problem extends Schema.TaggedError<Problem>("@spillway/http/Problem")("Problem", {
  /** The status of the answer, 400 to 599. */
  status: Schema.Number,
  /** What kind of problem it is, the same for all of its kind. */
  title: Schema.String,
  /** What to do about this one. */
  detail: Schema.optionalKey(Schema.String),
  /** A URI that names the kind. */
  type: Schema.String,
  /** Headers of the answer. */
  headers: Schema.Record(Schema.String, Schema.String),
  /** Further members of the problem details object. */
  extensions: Schema.Record(Schema.String, Schema.Unknown)
}) {
  override get message() {
    return this.detail ?? this.title
  }

  /** The answer, for `HttpServerRespondable`. */
  [Respondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return Effect.succeed(toResponse(this))
  }
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The status of the answer, an integer from 400 to 599. */
  readonly status: number
  /**
   * What kind of problem it is.
   *
   * @default the reason phrase of the status
   */
  readonly title?: string | undefined
  /** What happened this time, and what to do about it. Do not put internals here: the client reads it. */
  readonly detail?: string | undefined
  /**
   * A URI that names the kind of problem.
   *
   * @default "about:blank"
   */
  readonly type?: string | undefined
  /** Headers of the answer, with names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Further members of the object, beside the standard ones. */
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Creates a problem to fail with.
 *
 * **Details**
 *
 * Throws a `RangeError` for a status outside 400 to 599.
 *
 * **Example** (A conflict)
 *
 * ```ts
 * const taken = Problem.make({ status: 409, detail: "choose another name" })
 * const handler = Effect.filterOrFail(save, (saved) => saved, () => taken)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Problem => {
  const { status } = options
  if (!(Number.isInteger(status) && status >= 400 && status <= 599)) {
    throw new RangeError(`Problem.make: status must be an integer from 400 to 599, got ${status}`)
  }
  return withoutStack(
    () =>
      new Problem(
        {
          status,
          title: options.title ?? http.STATUS_CODES[status] ?? "Unknown Error",
          ...(options.detail === undefined ? {} : { detail: options.detail }),
          type: options.type ?? ProblemDetails.blankType,
          headers: options.headers ?? {},
          extensions: options.extensions ?? {}
        },
        { disableChecks: true }
      )
  )
}

const responses = new WeakMap<Problem, HttpServerResponse.HttpServerResponse>()

/**
 * Converts a problem to its response. A problem that is used again, such as a constant, is encoded once.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toResponse = (problem: Problem): HttpServerResponse.HttpServerResponse => {
  let response = responses.get(problem)
  if (response === undefined) {
    const details = toDetails(problem)
    response = HttpServerResponse.setHeaders(ProblemDetails.toResponse(details), problem.headers)
    responses.set(problem, response)
  }
  return response
}

/**
 * Converts a problem to the object of RFC 9457.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toDetails = (problem: Problem): ProblemDetails.ProblemDetails => ({
  ...problem.extensions,
  type: problem.type,
  title: problem.title,
  status: problem.status,
  ...(problem.detail === undefined ? {} : { detail: problem.detail })
})

/**
 * The problem of a server that can not take a request now. `retryAfter` is the `Retry-After` header in whole seconds.
 *
 * **Details**
 *
 * Its type is `temporary-reduced-capacity` of draft-ietf-httpapi-ratelimit-headers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unavailable = (detail: string, retryAfter: number): Problem =>
  make({
    status: 503,
    type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
    detail,
    headers: { "retry-after": String(retryAfter) }
  })

const badRequest = make({ status: 400, detail: "the request could not be read" })
const notFound = make({ status: 404, detail: "there is nothing at this path" })
const tooLarge = make({ status: 413, detail: "send a smaller body" })
const internal = make({ status: 500, detail: "the server failed; the failure has been logged" })

/**
 * The answer to a request whose deadline passed.
 *
 * @category constants
 * @since 0.1.0
 */
export const deadlineExceeded: Problem = make({
  status: 504,
  detail: "the request took longer than its deadline allows"
})

/**
 * The answer to a request that a stopping server could not finish.
 *
 * @category constants
 * @since 0.1.0
 */
export const draining: Problem = unavailable("the server is being restarted", 1)

const answerLost = make({ status: 502, detail: "the answer of another server was lost; the work may have been done" })

const overloaded = (retryAfter: Duration.Duration): Problem =>
  unavailable("the server is overloaded; try again later", Math.max(1, Math.ceil(Duration.toSeconds(retryAfter))))

const busy = overloaded(Duration.seconds(1))
/** The rest of the body stays unread, so the connection can not go on. */
const tooManyBodies = make({ ...busy, headers: { ...busy.headers, connection: "close" } })

/** A JSON Pointer (RFC 6901). */
const toPointer = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")

const toIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The most places that one answer names. */
const maxErrors = 20

/** The longest pointer that one answer shows: a key may be as long as the body. */
const maxPointer = 200

const shorten = (pointer: string): string =>
  pointer.length <= maxPointer ? pointer : `${pointer.slice(0, maxPointer - 1).toWellFormed()}…`

/**
 * The places of a schema error: a JSON Pointer and a message for each, at most 20. `prefix` is put before each path.
 *
 * **Details**
 *
 * A pointer of more than 200 characters is cut, and ends with `…`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const places = (
  error: Schema.SchemaError,
  prefix: string = ""
): ReadonlyArray<{ readonly path: string; readonly message: string }> =>
  toIssues(error.issue)
    .issues.slice(0, maxErrors)
    .map((issue) => ({
      path: shorten(prefix + toPointer((issue.path ?? []).map((part) => (typeof part === "object" ? part.key : part)))),
      message: issue.message
    }))

const invalid = (errors: ReadonlyArray<{ readonly path: string; readonly message: string }>, detail: string): Problem =>
  make({ status: 422, detail, extensions: { errors } })

const fromJsonBody = ({ reason }: JsonBodyError): Problem => {
  switch (reason._tag) {
    case "UnsupportedMediaType":
      return make({ status: 415, detail: `send the body as ${reason.expected}`, headers: { accept: reason.expected } })
    case "UnsupportedEncoding": {
      const { expected } = reason
      const detail = expected ? `send the body encoded as ${expected}` : "send the body without a content encoding"
      return make({ status: 415, detail, headers: { "accept-encoding": expected ?? "identity" } })
    }
    case "Empty":
      return make({ status: 400, detail: "the body is empty; send JSON" })
    case "TooLarge":
      return make({ status: 413, detail: `send at most ${reason.limit} bytes` })
    case "TooManyLines":
      return make({ status: 413, detail: `send at most ${reason.limit} lines` })
    case "TimedOut":
      return make({
        status: 408,
        detail: `the body did not arrive within ${Duration.format(reason.timeout)}`,
        headers: { connection: "close" }
      })
    case "Incomplete":
      return make({ status: 408, detail: "the body ended too early", headers: { connection: "close" } })
    case "Overloaded":
      return tooManyBodies
    case "NotUtf8":
      return make({ status: 400, detail: "the body is not UTF-8 without a byte order mark" })
    case "Malformed":
      return make({
        status: 400,
        detail: reason.detail,
        extensions: reason.line === undefined ? {} : { line: reason.line }
      })
    case "Mismatch":
      return invalid(reason.errors, "the body has the wrong shape")
  }
}

const fromOffload = ({ reason }: OffloadError): Problem | undefined => {
  switch (reason._tag) {
    case "Saturated":
      return overloaded(reason.retryAfter)
    case "Unavailable":
      return overloaded(Duration.seconds(1))
    case "TimedOut":
    case "DeadlinePassed":
      return deadlineExceeded
    case "Disconnected":
      return answerLost
    case "Crashed":
      return undefined
  }
}

const fromRateLimited = (error: RateLimited): Problem => {
  if (!Duration.isFinite(error.retryAfter)) {
    const detail = `this request costs ${error.cost}; your quota is at most ${error.burst} at once: split it`
    return make({ status: 413, detail, headers: error.headers })
  }
  return make({
    status: 429,
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    detail: "your quota is used up; try again later",
    headers: error.headers,
    extensions: { "violated-policies": error.policies }
  })
}

const hasTag = (error: unknown): error is { readonly _tag: unknown } =>
  typeof error === "object" && error !== null && "_tag" in error

/**
 * The problem of an error that the table knows, and `undefined` for any other.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromError = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error
  if (HttpServerError.isHttpServerError(error)) return fromHttpServerError(error)
  if (Schema.isSchemaError(error)) return invalid(places(error), "the request has the wrong shape")
  if (!hasTag(error)) return undefined
  // By their tags: the classes may come from another copy of their package.
  switch (error._tag) {
    case "JsonBodyError":
      return fromJsonBody(error as JsonBodyError)
    case "RateLimited":
      return fromRateLimited(error as RateLimited)
    case "BulkheadFull":
      return overloaded((error as BulkheadFull).retryAfter)
    case "OffloadError":
      return fromOffload(error as OffloadError)
    case "TaskGroupFull":
      return overloaded(Duration.seconds(1))
    case "Draining":
      return draining
    case "DeadlineExceeded":
      return deadlineExceeded
    case "NoSuchElementError":
      return notFound
    default:
      return undefined
  }
}

const fromHttpServerError = ({ reason }: HttpServerError.HttpServerError): Problem | undefined => {
  switch (reason._tag) {
    case "RouteNotFound":
      return notFound
    case "RequestParseError":
      return reason.reason === "BodyTooLarge" ? tooLarge : badRequest
    default:
      return undefined
  }
}

/**
 * The answer to a request whose handler failed. Of several failures the first that the table knows decides.
 *
 * **Details**
 *
 * A cause that the table does not know, and every 500, is logged as an error. Of defects only those that carry a response of their
 * own (as Effect's HTTP modules use them) are not a 500.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromCause = <E>(cause: Cause.Cause<E>): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") continue
    const error: unknown = reason._tag === "Fail" ? reason.error : reason.defect
    if (HttpServerResponse.isHttpServerResponse(error)) return Effect.succeed(error)
    const known = reason._tag === "Fail" || error instanceof Problem ? fromError(error) : undefined
    if (known !== undefined) return Effect.succeed(toResponse(known))
    if (Respondable.isRespondable(error) && !HttpServerError.isHttpServerError(error)) {
      return Effect.catchCause(error[Respondable.symbol](), () => logged(cause))
    }
  }
  return Cause.hasInterruptsOnly(cause) ? Effect.succeed(toResponse(draining)) : logged(cause)
}

const logged = <E>(cause: Cause.Cause<E>): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.as(Effect.logError("the handler of a request failed", cause), toResponse(internal))
