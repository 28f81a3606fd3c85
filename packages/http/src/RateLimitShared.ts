/**
 * A quota that several machines share, kept in a `RateLimiterStore` of Effect: with `RateLimitRedis.layer`, in Redis.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Respondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { makeShared } from "./internal/rateLimit/shared.ts"
import { toRules } from "./internal/rateLimit/rules.ts"
import * as Problem from "./Problem.ts"
import { defaults as localDefaults, RateLimited } from "./RateLimit.ts"
import type { Policy, RateLimit } from "./RateLimit.ts"

/**
 * Error of a limit that fails closed and can not reach its store. The server answers 503 with `Retry-After: 1`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimitUnavailable extends Schema.TaggedError<RateLimitUnavailable>(
  "@spillway/http/RateLimitShared/RateLimitUnavailable"
)("RateLimitUnavailable", {}) {
  override get message() {
    return "the store of the quotas can not be reached"
  }

  /** The answer, for `HttpServerRespondable`. */
  [Respondable.symbol](): Effect.Effect<HttpServerResponse> {
    return Effect.succeed(Problem.toResponse(unavailable))
  }
}

const unavailable = Problem.unavailable("quotas can not be checked now; try again later", 1)

/**
 * What to do with a request while the store is away.
 *
 * **Details**
 *
 * - `"local"`: this process applies the same policies by itself, from what it knew last. With n machines a client gets at most n quotas.
 * - `"open"`: it passes, charged nothing, unless this process knows that its client is over its quota. For limits that are about fairness,
 *   where an answer too many does little harm.
 * - `"closed"`: it fails with `RateLimitUnavailable`, a 503. For limits that keep out harm, such as guesses of passwords, where an outage is
 *   better.
 *
 * @category models
 * @since 0.1.0
 */
export type OnUnavailable = "local" | "open" | "closed"

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What to do with a request while the store is away.
   *
   * @default "local"
   */
  readonly onUnavailable?: OnUnavailable | undefined
  /**
   * How long the store may take for one request. Above 0, finite: it is what each request may be delayed by.
   *
   * @default "100 millis"
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * After so many questions in a row without an answer the store counts as away: it is not asked any more, and nobody waits for it. An
   * integer from 1.
   *
   * @default 5
   */
  readonly maxFailures?: number | undefined
  /**
   * How long a store that is away is left alone before one request tries it again. Above 0, finite.
   *
   * @default "1 second"
   */
  readonly retryInterval?: Duration.Input | undefined
  /**
   * Clients of whom this process remembers what the store said last, an integer from 1 to 10,000,000: who is over the quota is refused
   * without asking the store again. About 250 bytes each.
   *
   * @default 100000
   */
  readonly maxKeys?: number | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  onUnavailable: "local",
  timeout: Duration.millis(100),
  maxFailures: 5,
  retryInterval: Duration.seconds(1),
  maxKeys: localDefaults.maxKeys
} as const

/**
 * Creates a rate limit whose buckets lie in the `RateLimiterStore` of the context. Machines that share the store share the quotas of policies
 * with the same name, which must be the same everywhere.
 *
 * **Details**
 *
 * One take asks the store once for each policy, all at the same time. When one refuses, what others gave is given back; until then, for the
 * time of a round trip, the client may lack it. A client that goes away, or a store that fails, between the two has lost it.
 *
 * What the store says is remembered. Others can only have taken more since, so a client that this process knows to be over its quota is
 * refused at once, and hammering costs the store nothing. Each question ends within `timeout`; after `maxFailures` in a row
 * without an answer a circuit breaker leaves the store alone but for one try in each `retryInterval`, and everybody else gets the
 * answer of `onUnavailable` at once. That the store is away, and that it is back, is logged once each, and every unanswered question counts
 * in `spillway_http_rate_limit_store_failures_total`.
 *
 * Throws, as a defect, a `RangeError` for an option outside its range.
 *
 * **Gotchas**
 *
 * A question that ended by `timeout` may still be answered later: its tokens are taken then, though the request was not charged.
 *
 * **Example** (A quota for a fleet)
 *
 * ```ts
 * const quotas = RateLimitShared.make({ name: "api", limit: 100, burst: 200 }, { onUnavailable: "open" })
 * const limited = Layer.unwrap(Effect.map(quotas, (limit) => RateLimit.layerGlobal(limit)))
 * const app = Layer.mergeAll(routes, limited).pipe(Layer.provide(RateLimitRedis.layer({ url: "redis://redis:6379" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (
  policies: Policy | ReadonlyArray<Policy>,
  options?: Options
) => Effect.Effect<RateLimit<RateLimitUnavailable>, never, RateLimiter.RateLimiterStore | Scope.Scope> =
  Effect.fnUntraced(function* (policies: Policy | ReadonlyArray<Policy>, options: Options = {}) {
    const rules = toRules("RateLimitShared.make", policies)
    const settings = toSettings(options)
    const store = yield* RateLimiter.RateLimiterStore
    const breaker = yield* Effect.provide(
      CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(settings.maxFailures),
        openDuration: settings.retryInterval
      }),
      CircuitBreaker.layerStoreMemory()
    )
    return yield* makeShared({
      rules,
      settings,
      store,
      breaker,
      Refusal: RateLimited,
      unavailable: () => new RateLimitUnavailable()
    })
  })

const toSettings = (options: Options) => {
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(`RateLimitShared.make: ${field} must be ${range}, got ${String(value)}`)
  }
  const positive = (field: "timeout" | "retryInterval") => {
    const duration = Duration.fromInputUnsafe(options[field] ?? defaults[field])
    if (!(Duration.isFinite(duration) && Duration.toMillis(duration) > 0)) {
      refuse(field, "a finite duration > 0", String(options[field]))
    }
    return duration
  }
  const {
    maxFailures = defaults.maxFailures,
    maxKeys = defaults.maxKeys,
    onUnavailable = defaults.onUnavailable
  } = options
  if (!(Number.isInteger(maxFailures) && maxFailures >= 1)) refuse("maxFailures", "an integer >= 1", maxFailures)
  if (!(Number.isInteger(maxKeys) && maxKeys >= 1 && maxKeys <= 10_000_000)) {
    refuse("maxKeys", "an integer from 1 to 10000000", maxKeys)
  }
  if (!["local", "open", "closed"].includes(onUnavailable)) {
    refuse("onUnavailable", '"local", "open" or "closed"', onUnavailable)
  }
  return { maxFailures, maxKeys, onUnavailable, timeout: positive("timeout"), retryInterval: positive("retryInterval") }
}
