/**
 * Repeats the requests of an `HttpClient` without making an overload worse: as late as the server asks, within the deadline, and
 * only as often as a budget allows.
 *
 * @since 0.1.0
 */
import * as Deadline from "@spillway/runtime/Deadline"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as HttpMetrics from "./HttpMetrics.ts"
import { faultOf } from "./internal/clientFault.ts"
import { discard, isReplayable } from "./internal/clientMessage.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { retryAfterMillis } from "./internal/retryAfter.ts"
import * as RetryBudget from "./RetryBudget.ts"

/**
 * Options of `withRetry`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What repetitions are paid from. Clients of the same service share one.
   *
   * @default one with the defaults of `RetryBudget`, for this client alone
   */
  readonly budget?: RetryBudget.RetryBudget | undefined
  /**
   * How often a request is sent in all: an integer from 1, which repeats nothing.
   *
   * @default 3
   */
  readonly maxAttempts?: number | undefined
  /**
   * The statuses that are worth repeating: integers from 400 to 599. 504 is not: our server answers it when the time was over.
   *
   * @default [429, 502, 503]
   */
  readonly statuses?: ReadonlyArray<number> | undefined
  /**
   * Whether a request may be repeated that the server may have processed.
   *
   * @default idempotent methods, and requests with an `Idempotency-Key` (see `isRepeatable`)
   */
  readonly isRepeatable?: ((request: HttpClientRequest) => boolean) | undefined
  /**
   * Whether other requests, such as a plain `POST`, may be repeated after a 429 or 503 that says when to come again. Our server's door sends
   * such answers for requests that no handler has seen. A handler may end in one, too, when its `Bulkhead` or `Offload` is full: set this
   * for services whose handlers change nothing before they ask those.
   *
   * @default false
   */
  readonly retryRefused?: boolean | undefined
  /**
   * The bound of the first wait where the server asks for none; it doubles with each further one. Finite, from 0.
   *
   * @default "100 millis"
   */
  readonly baseDelay?: Duration.Input | undefined
  /**
   * The bound of all such waits: finite, from `baseDelay`.
   *
   * @default "10 seconds"
   */
  readonly maxDelay?: Duration.Input | undefined
  /**
   * The longest wait that a server may ask for. If it asks for more, its answer is given back at once. From 0; with `Infinity` only the
   * deadline bounds it.
   *
   * @default "30 seconds"
   */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults = {
  maxAttempts: 3,
  statuses: [429, 502, 503],
  retryRefused: false,
  baseDelay: "100 millis",
  maxDelay: "10 seconds",
  maxRetryAfter: "30 seconds"
} as const

const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"])

/**
 * Whether a request may be sent twice: its method is idempotent (RFC 9110 section 9.2.2, and `QUERY`), or it has the field
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), by which the server knows the second for the first.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRepeatable = (request: HttpClientRequest): boolean =>
  idempotentMethods.has(request.method) || request.headers["idempotency-key"] !== undefined

interface Policy extends Required<{ [K in "budget" | "isRepeatable" | "maxAttempts" | "retryRefused"]: Defined<K> }> {
  readonly statuses: ReadonlySet<number>
  readonly baseDelay: number
  readonly maxDelay: number
  readonly maxRetryAfter: number
}
type Defined<K extends keyof Options> = Exclude<Options[K], undefined>

const resolve = (options: Options): Policy => {
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(`ClientRetry.withRetry: ${field} must be ${range}, got ${String(value)}`)
  }
  const millis = (field: "baseDelay" | "maxDelay" | "maxRetryAfter", least: number, most: number): number => {
    const value = Duration.toMillis(Duration.fromInputUnsafe(options[field] ?? defaults[field]))
    const range = `a ${most < Infinity ? "finite " : ""}duration >= ${least} ms`
    return value >= least && value <= most ? value : refuse(field, range, options[field] ?? defaults[field])
  }
  const { maxAttempts = defaults.maxAttempts, statuses = defaults.statuses } = options
  if (!(Number.isInteger(maxAttempts) && maxAttempts >= 1)) refuse("maxAttempts", "an integer >= 1", maxAttempts)
  if (!statuses.every((status) => Number.isInteger(status) && status >= 400 && status <= 599)) {
    refuse("statuses", "integers from 400 to 599", statuses.join())
  }
  const baseDelay = millis("baseDelay", 0, Number.MAX_VALUE)
  return {
    budget: options.budget ?? RetryBudget.make(),
    isRepeatable: options.isRepeatable ?? isRepeatable,
    maxAttempts,
    retryRefused: options.retryRefused ?? defaults.retryRefused,
    statuses: new Set(statuses),
    baseDelay,
    maxDelay: millis("maxDelay", baseDelay, Number.MAX_VALUE),
    maxRetryAfter: millis("maxRetryAfter", 0, Infinity)
  }
}

type Decline = "Attempts" | "Budget" | "Deadline" | "RetryAfter"
type Reason = "Refused" | "Status" | "Unsent" | "Lost"
/** To wait for so many milliseconds and send it again, or why not; `undefined` when nothing speaks for it. */
type Decision = { readonly delay: number; readonly reason: Reason } | Decline | undefined

/** What became of an attempt: a response, or how the connection failed. */
const outcomeOf = (exit: Exit.Exit<HttpClientResponse, unknown>): ReturnType<typeof faultOf> =>
  exit._tag === "Success" ? exit.value : faultOf(Result.getOrUndefined(Cause.findError(exit.cause)))

/** Why an attempt may be followed by another, with the time that the server asks for. */
const reasonOf = (
  policy: Policy,
  request: HttpClientRequest,
  outcome: NonNullable<ReturnType<typeof faultOf>>,
  retryAfter: number | undefined
): Reason | undefined => {
  if (!isReplayable(request.body)) return undefined
  if (outcome === "unsent") return "Unsent"
  if (outcome === "lost") return policy.isRepeatable(request) ? "Lost" : undefined
  if (!policy.statuses.has(outcome.status)) return undefined
  const isRefused = outcome.status === 429 || outcome.status === 503
  const isUnprocessed = policy.retryRefused && isRefused && retryAfter !== undefined
  if (!isUnprocessed && !policy.isRepeatable(request)) return undefined
  return isRefused ? "Refused" : "Status"
}

const decide = (
  policy: Policy,
  request: HttpClientRequest,
  outcome: ReturnType<typeof faultOf>,
  attempts: number,
  fiber: Fiber.Fiber<unknown, unknown>
): Decision => {
  if (outcome === undefined) return undefined
  const clock = fiber.getRef(Clock.Clock)
  const now = monotonicMillis(clock)
  const retryAfter =
    typeof outcome === "string" ? undefined : retryAfterMillis(outcome.headers, clock.currentTimeMillisUnsafe())
  const reason = reasonOf(policy, request, outcome, retryAfter)
  if (reason === undefined) return undefined
  if (attempts >= policy.maxAttempts) return "Attempts"
  if (retryAfter !== undefined && retryAfter > policy.maxRetryAfter) return "RetryAfter"
  const backoff = Math.min(policy.maxDelay, policy.baseDelay * 2 ** (attempts - 1))
  const spread = retryAfter === undefined ? backoff : Math.max(backoff, retryAfter / 4)
  const delay = (retryAfter ?? 0) + spread * fiber.getRef(Random.Random).nextDoubleUnsafe()
  if (now + delay >= fiber.getRef(Deadline.CurrentDeadline)) return "Deadline"
  return policy.budget.withdraw(now) ? { delay, reason } : "Budget"
}

/** Waits, and in that time gives the connection of the response back, which nobody will read. */
const pause = (delay: number, outcome: ReturnType<typeof faultOf>): Effect.Effect<void> => {
  if (typeof outcome !== "object") return Effect.sleep(Duration.millis(delay))
  return Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const due = monotonicMillis(clock) + delay
    const rest = Effect.suspend(() => Effect.sleep(Duration.millis(Math.max(0, due - monotonicMillis(clock)))))
    return Effect.andThen(discard(outcome), rest)
  })
}

const count = (decision: Exclude<Decision, undefined>, fiber: Fiber.Fiber<unknown, unknown>): void => {
  const counter =
    typeof decision === "string"
      ? Metric.withAttributes(HttpMetrics.clientRetriesDeclined, { reason: decision })
      : Metric.withAttributes(HttpMetrics.clientRetries, { reason: decision.reason })
  counter.updateUnsafe(1, fiber.context)
}

/**
 * Wraps an `HttpClient` so that it repeats requests that failed for want of capacity or of a connection.
 *
 * **Details**
 *
 * A request is sent again after a connection that could not be made; and, if it may be repeated, after one of `statuses` and after a connection
 * that ended before the answer. A body that is a stream is never sent twice. Neither is anything repeated that was interrupted
 * or timed out. What is not repeated comes back as it is: the last response, or the last error.
 *
 * Between two attempts it waits:
 *
 * - for `Retry-After` (seconds, or a date, taken by the server's own `Date`), else for `t` of the `RateLimit` field of a policy with
 *   nothing left, and then up to a quarter of that more, by chance, so that those refused together do not come back together;
 * - without either for a random part of `baseDelay * 2 ** n`, at most `maxDelay` ("full jitter", "Exponential Backoff and Jitter", AWS
 *   Architecture Blog 2015).
 *
 * It never waits beyond the current `Deadline`: if the time would not do, the answer is given back at once. So it is with more than
 * `maxRetryAfter`, and when the budget is empty. Interruption ends the wait; what it took from the budget stays spent.
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * **Gotchas**
 *
 * Use one client, or one budget, for one service, and repeat at one layer only: with `HttpClient.retryTransient` around it each of its
 * repetitions counts as a new request, and the budget grows with it.
 *
 * **Example** (A client that is kind to its server)
 *
 * ```ts
 * const users = client.pipe(DeadlineHeader.withDeadline, ClientRetry.withRetry({ retryRefused: true }))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withRetry = (
  options: Options = {}
): (<E, R>(self: HttpClient.HttpClient.With<E, R>) => HttpClient.HttpClient.With<E, R>) => {
  const policy = resolve(options)
  return <E, R>(self: HttpClient.HttpClient.With<E, R>) =>
    HttpClient.makeWith<E, R, E, R>((request) => repeat(policy, self.postprocess, request), self.preprocess)
}

const repeat = <E, R>(
  policy: Policy,
  send: HttpClient.HttpClient.Postprocess<E, R>,
  request: Effect.Effect<HttpClientRequest, E, R>
): Effect.Effect<HttpClientResponse, E, R> =>
  Effect.withFiber((fiber) => {
    policy.budget.deposit(monotonicMillis(fiber.getRef(Clock.Clock)))
    let sent: HttpClientRequest | undefined
    // Run anew for each attempt: what a request is given then, such as the time that is left, is given to each.
    const attempt = send(
      Effect.tap(request, (made) => {
        sent = made
        return Effect.void
      })
    )
    const loop = (attempts: number): Effect.Effect<HttpClientResponse, E, R> =>
      Effect.flatMap(Effect.exit(attempt), (exit) => {
        const outcome = sent === undefined ? undefined : outcomeOf(exit)
        const decision = decide(policy, sent!, outcome, attempts, fiber)
        if (decision !== undefined) count(decision, fiber)
        if (typeof decision !== "object") return exit
        return Effect.flatMap(pause(decision.delay, outcome), () => loop(attempts + 1))
      })
    return loop(1)
  })
