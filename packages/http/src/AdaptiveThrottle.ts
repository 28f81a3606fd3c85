/**
 * Client-side throttling: a client whose requests are being refused by a server keeps some of them back itself.
 *
 * A refusal is cheap but not free. When a server refuses nine of ten requests, answering those nine may cost as much as serving the
 * tenth; a client that knows it need not ask.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Respondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as HttpMetrics from "./HttpMetrics.ts"
import { faultOf } from "./internal/clientFault.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { SlidingSums } from "./internal/slidingSums.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import * as Problem from "./Problem.ts"

/**
 * Error of a request that was kept back, since the server has been refusing too many. Nothing was sent. A server whose handler fails with it
 * answers 503 with `Retry-After: 1`.
 *
 * @category errors
 * @since 0.1.0
 */
export class Throttled extends Schema.TaggedError<Throttled>("@spillway/http/AdaptiveThrottle/Throttled")("Throttled", {
  /** The probability with which requests were kept back at that time, from 0 to below 1. */
  probability: Schema.Number
}) {
  override get message() {
    return `the request was not sent: the server refuses too many (${(100 * this.probability).toFixed(0)} % are kept back)`
  }

  /** The answer, for `HttpServerRespondable`. */
  [Respondable.symbol](): Effect.Effect<HttpServerResponse> {
    return Effect.succeed(Problem.toResponse(throttled))
  }
}

const throttled = Problem.unavailable("another server is overloaded; try again later", 1)

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many requests a client may make for each that is accepted before any is kept back: a finite number from 1. A smaller one spares
   * the server more refusals; a larger one notices sooner that it accepts again.
   *
   * @default 2
   */
  readonly multiplier?: number | undefined
  /**
   * How long answers are remembered: from 1 to 300 seconds.
   *
   * @default "30 seconds"
   */
  readonly window?: Duration.Input | undefined
}

/**
 * The defaults of `Options`. The multiplier is that of the SRE book; its window of two minutes is shortened to that of Envoy's admission
 * control, since it is also how long a recovered server goes on getting less than it could take.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults = { multiplier: 2, window: "30 seconds" } as const

/**
 * What is known of the answers of a server. Made by `make`; its methods are pure.
 *
 * **Details**
 *
 * A request is kept back with the probability `max(0, (requests - multiplier * accepts) / (requests + 1))` of "Site Reliability
 * Engineering" (Beyer et al. 2016), chapter 21, where the requests that were kept back count as requests, too. Changed: a request counts
 * when its answer is there, not when it is sent, as in Envoy's admission control. Else the first hundred requests of a program would
 * be kept back because none of them has been answered yet.
 *
 * @category models
 * @since 0.1.0
 */
export class AdaptiveThrottle {
  readonly #multiplier: number
  /** Requests and accepted ones. */
  readonly #sums: SlidingSums

  /** Use `make`, which checks the options. */
  constructor(multiplier: number, window: number) {
    this.#multiplier = multiplier
    this.#sums = new SlidingSums(window)
  }

  /** Takes note of a request that was kept back or refused, at the time `now` in milliseconds. */
  refused(now: number): void {
    this.#sums.add(now, 1, 0)
  }

  /** Takes note of a request that the server has accepted, whatever came of it. */
  accepted(now: number): void {
    this.#sums.add(now, 1, 1)
  }

  /** The probability with which a request is to be kept back at the time `now`: from 0 to below 1, so that some always ask. */
  probability(now: number): number {
    this.#sums.advance(now)
    const { first: requests, second: accepts } = this.#sums
    return Math.max(0, (requests - this.#multiplier * accepts) / (requests + 1))
  }
}

/**
 * Creates a throttle, to be shared by all requests to one service.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): AdaptiveThrottle => {
  const { multiplier = defaults.multiplier } = options
  const seconds = Duration.toSeconds(Duration.fromInputUnsafe(options.window ?? defaults.window))
  if (!(multiplier >= 1 && multiplier < Infinity)) {
    throw new RangeError(`AdaptiveThrottle.make: multiplier must be a finite number >= 1, got ${multiplier}`)
  }
  if (!(seconds >= 1 && seconds <= 300)) {
    throw new RangeError(`AdaptiveThrottle.make: window must be from 1 to 300 seconds, got ${String(options.window)}`)
  }
  return new AdaptiveThrottle(multiplier, seconds * 1000)
}

/** Whether the server has taken the request; `undefined` when nobody knows. */
const wasAccepted = (exit: Exit.Exit<HttpClientResponse, unknown>): boolean | undefined => {
  if (exit._tag === "Success") return exit.value.status !== 429 && exit.value.status !== 503
  const error = Result.getOrUndefined(Cause.findError(exit.cause))
  const fault = faultOf(error)
  if (fault === undefined) return undefined
  return typeof fault === "string" ? false : fault.status !== 429 && fault.status !== 503
}

/**
 * Wraps an `HttpClient` so that it keeps requests back, with `Throttled`, while the server refuses many.
 *
 * **Details**
 *
 * Refused are 429 and 503, and connections that are refused or lost before an answer. Everything else counts as accepted, but
 * interruption, timeouts and faults of the request itself count as nothing. Within `ClientRetry.withRetry` each attempt counts.
 *
 * **Example** (With retries)
 *
 * ```ts
 * const users = client.pipe(AdaptiveThrottle.withThrottle(AdaptiveThrottle.make()), ClientRetry.withRetry())
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withThrottle =
  (throttle: AdaptiveThrottle) =>
  <E, R>(self: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E | Throttled, R> =>
    HttpClient.transform(self, (send) =>
      Effect.withFiber((fiber): Effect.Effect<HttpClientResponse, E | Throttled, R> => {
        const clock = fiber.getRef(Clock.Clock)
        const now = monotonicMillis(clock)
        const probability = throttle.probability(now)
        if (fiber.getRef(Random.Random).nextDoubleUnsafe() < probability) {
          throttle.refused(now)
          HttpMetrics.clientThrottled.updateUnsafe(1, fiber.context)
          return Effect.fail(withoutStack(() => new Throttled({ probability }, { disableChecks: true })))
        }
        return Effect.onExit(send, (exit) =>
          Effect.sync(() => {
            const accepted = wasAccepted(exit)
            if (accepted === true) throttle.accepted(monotonicMillis(clock))
            if (accepted === false) throttle.refused(monotonicMillis(clock))
          })
        )
      })
    )
