/**
 * A quota for each client: token buckets in memory, for a bounded number of clients. `RateLimitShared` is the same for several machines.
 *
 * It protects the clients of a server from each other. The server itself is protected by its door, which answers 503; this answers
 * 429, with the fields of draft-ietf-httpapi-ratelimit-headers-11.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import { BucketTable } from "./internal/rateLimit/bucketTable.ts"
import { addressReader, apiKeyReader, toId } from "./internal/rateLimit/clientKeys.ts"
import { limitHandler } from "./internal/rateLimit/limitHandler.ts"
import { fits, toRules } from "./internal/rateLimit/rules.ts"
import { badCost, isPayable, Verdicts } from "./internal/rateLimit/verdicts.ts"
import { monotonicMillis } from "./internal/monotonic.ts"

/**
 * Error of a client that has used up its quota.
 *
 * **Details**
 *
 * The server answers 429 with `Retry-After`, `RateLimit` and `RateLimit-Policy`. If `cost` is above `burst` no waiting helps: then
 * `retryAfter` is infinite, and the answer is 413 without `Retry-After`, since the request itself is too large for the quota.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("@spillway/http/RateLimit/RateLimited")(
  "RateLimited",
  {
    /** The names of the policies that refused. */
    policies: Schema.Array(Schema.String),
    /** The tokens that were asked for. */
    cost: Schema.Number,
    /** The most that can ever be asked for at once. */
    burst: Schema.Number,
    /** When so many tokens will be there, if nobody else takes them. */
    retryAfter: Schema.Duration,
    /** The header fields of the answer. */
    headers: Schema.Record(Schema.String, Schema.String)
  }
) {
  override get message() {
    const names = this.policies.map((name) => `"${name}"`).join(", ")
    return `the quota ${names} is used up: ${this.cost} of at most ${this.burst} asked for`
  }
}

/**
 * One token bucket of each client: `limit` tokens in each `window`, gained evenly, and at most `burst` saved up.
 *
 * @category options
 * @since 0.1.0
 */
export interface Policy {
  /**
   * The name of the policy in header fields, errors and metrics: letters, digits, `-` and `_`.
   *
   * @default "default"
   */
  readonly name?: string | undefined
  /** Tokens that each client gains in a window. Above 0, finite. */
  readonly limit: number
  /**
   * The time in which `limit` tokens are gained. Above 0, finite.
   *
   * @default "1 second"
   */
  readonly window?: Duration.Input | undefined
  /**
   * The most tokens a client can save up, and what it begins with. At least 1, finite.
   *
   * @default limit
   */
  readonly burst?: number | undefined
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Clients that are remembered, an integer from 1 to 10,000,000. Beyond it the client whose buckets are soonest full is forgotten: it
   * begins with full ones. About 250 bytes each.
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
export const defaults = { maxKeys: 100_000 } as const

/**
 * What a client has left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quota {
  /** Tokens left now, rounded down; of several policies the fewest. */
  readonly remaining: number
  /** Until every bucket is full again. */
  readonly reset: Duration.Duration
  /**
   * The header fields, to be set on the response if clients shall see them: `ratelimit-policy`, and `ratelimit` unless nobody knows what
   * is left.
   */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A rate limit. Made by `make`, or by `RateLimitShared.make`, whose takes may fail with `E` besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit<out E = never> {
  /** The names of the policies. */
  readonly policies: ReadonlyArray<string>
  /**
   * Takes tokens from all buckets of a client, or none from any if one has too few, and says what is left. Fails with `RateLimited`
   * then; it never waits for tokens. The cost is 1 unless given; 0 only asks.
   */
  readonly take: (key: string, cost?: number) => Effect.Effect<Quota, RateLimited | E>
  /**
   * Takes nothing, and fails with `RateLimited` when the client has not one token left: what `take(key)` would fail with.
   *
   * **Details**
   *
   * For a cost that is only known after work, such as reading a body: `check` before that work, then one `take` of the whole cost.
   * A refusal by either costs no token, and that of the `take` has the `retryAfter` of the whole cost. It reserves nothing: of
   * many requests that passed the check at once some may be refused by their `take`.
   */
  readonly check: (key: string) => Effect.Effect<void, RateLimited | E>
  /** The number of clients that this process remembers now. A client whose buckets are full need not be remembered. */
  readonly size: Effect.Effect<number>
}

/**
 * What a `RateLimited` says, as plain data: to make the error costs more than all the rest of a refusal.
 *
 * @category models
 * @since 0.1.0
 */
export type Excess = Pick<RateLimited, "_tag" | "policies" | "cost" | "burst" | "retryAfter" | "headers">

/**
 * A rate limit in memory, which can be asked without a fiber. Made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocalRateLimit extends RateLimit {
  /**
   * What `take` does, at once: for code that runs before there is a fiber, as `OverloadOptions.rateLimit` does. `now` is the monotonic clock
   * in milliseconds, the same for all takes of one limit. A refusal counts in the metrics of `context`. Throws a `RangeError` for a cost
   * that is negative or not a number.
   */
  readonly takeUnsafe: (
    key: string,
    cost: number,
    now: number,
    context: Context.Context<never>
  ) => Result.Result<Quota, Excess>
}

/**
 * Creates a rate limit in memory, with one policy or several that must all agree.
 *
 * **Details**
 *
 * A take is synchronous, and O(1) in the number of clients; nothing runs in between. It goes by the monotonic clock, so setting the
 * time of day changes no quota. Keys of more than 64 characters are kept by their SHA-256. Throws a `RangeError` for an option outside
 * its range, and for two policies of one name. A cost that is negative or not a number is a defect.
 *
 * When there are more clients than `maxKeys`, the one that lacks the least (in time until all is full again) is forgotten, to within a
 * 126th of the longest such time. So a flood of new addresses can not reset the quota of a client that has used it up: for that it
 * would have to use up as much with each of `maxKeys` addresses.
 *
 * **Example** (100 requests a second for each client, and 10,000 an hour)
 *
 * ```ts
 * const quota = RateLimit.make([
 *   { name: "second", limit: 100, burst: 200 },
 *   { name: "hour", limit: 10_000, window: "1 hour" }
 * ])
 * const limited = Effect.flatMap(RateLimit.clientKey(), (client) => quota.take(client))
 * const handler = Effect.andThen(limited, answer)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (policies: Policy | ReadonlyArray<Policy>, options: Options = {}): LocalRateLimit => {
  const rules = toRules("RateLimit.make", policies)
  const { maxKeys = defaults.maxKeys } = options
  if (!(Number.isInteger(maxKeys) && maxKeys >= 1 && maxKeys <= 10_000_000)) {
    throw new RangeError(`RateLimit.make: maxKeys must be an integer from 1 to 10000000, got ${maxKeys}`)
  }
  const table = new BucketTable(rules, maxKeys)
  const verdicts = new Verdicts(rules, RateLimited)
  const takeUnsafe: LocalRateLimit["takeUnsafe"] = (key, cost, now, context) => {
    if (!isPayable(cost)) throw badCost(cost)
    const id = toId(key)
    const debts = table.debts(id, now)
    if (!rules.every((rule, i) => fits(rule, debts[i]!, cost)))
      return Result.fail(verdicts.refusal(debts, cost, context))
    if (cost > 0) {
      for (let i = 0; i < rules.length; i++) debts[i]! += cost * rules[i]!.perToken
      table.set(id, debts, now)
    }
    return Result.succeed(verdicts.quota(debts))
  }
  return {
    policies: rules.map(({ name }) => name),
    takeUnsafe,
    take: (key, cost = 1) =>
      Effect.withFiber((fiber) =>
        isPayable(cost)
          ? verdicts.toEffect(takeUnsafe(key, cost, monotonicMillis(fiber.getRef(Clock.Clock)), fiber.context))
          : verdicts.badCost(cost)
      ),
    check: (key) =>
      Effect.withFiber((fiber): Effect.Effect<void, RateLimited> => {
        const debts = table.debts(toId(key), monotonicMillis(fiber.getRef(Clock.Clock)))
        return rules.every((rule, i) => fits(rule, debts[i]!, 1))
          ? Effect.void
          : verdicts.limited(debts, 1, fiber.context)
      }),
    size: Effect.sync(() => table.size)
  }
}

/**
 * Options of `clientKey`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ClientOptions {
  /**
   * The networks (`"10.0.0.0/8"`, `"::1/128"`) whose `X-Forwarded-For` is believed. Nobody else's is: anyone can send that header.
   *
   * @default none
   */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
}

/**
 * Creates an effect that says which client sent the current request: its address, for IPv6 its /64 network, since one client
 * commonly has all of that.
 *
 * **Details**
 *
 * The address is that of the socket. If that is a trusted proxy, it is the last address in `X-Forwarded-For` that is not a trusted
 * proxy itself. Without an address (a Unix socket) the key is `"unknown"`, one for all such clients. Throws a `RangeError` for a
 * network that can not be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientKey = (
  options: ClientOptions = {}
): Effect.Effect<string, never, HttpServerRequest.HttpServerRequest> =>
  Effect.map(HttpServerRequest.HttpServerRequest, addressReader("RateLimit.clientKey", options.trustedProxies ?? []))

/**
 * Options of `apiKey`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ApiKeyOptions<E = never, R = never> extends ClientOptions {
  /**
   * The header field with the key. It is taken whole: with `authorization`, `isKnown` sees the scheme too.
   *
   * @default "x-api-key"
   */
  readonly header?: string | undefined
  /**
   * Says whether a key is one of yours. It is not optional: if any key were believed, a client would have a fresh quota for each one that
   * it makes up. It runs before the limit, for anyone: keep it cheap, such as a look into a set.
   */
  readonly isKnown: (key: string) => boolean | Effect.Effect<boolean, E, R>
}

/**
 * Creates an effect that says which client sent the current request: that of its API key, if it has a known one, else its address as
 * `clientKey` reads it.
 *
 * **Details**
 *
 * The secret itself is neither kept in memory nor sent to a store, but its SHA-256. A key of more than 512 characters is unknown.
 *
 * @category constructors
 * @since 0.1.0
 */
export const apiKey = <E = never, R = never>(
  options: ApiKeyOptions<E, R>
): Effect.Effect<string, E, R | HttpServerRequest.HttpServerRequest> =>
  apiKeyReader(
    (options.header ?? "x-api-key").toLowerCase(),
    options.isKnown,
    addressReader("RateLimit.apiKey", options.trustedProxies ?? [])
  )

/**
 * Options of `middleware` and `layerGlobal`.
 *
 * @category options
 * @since 0.1.0
 */
export interface MiddlewareOptions<E = never, R = never> {
  /**
   * Says which client sent the request: any function of it.
   *
   * @default clientKey()
   */
  readonly key?: Effect.Effect<string, E, R> | undefined
  /**
   * The tokens that a request costs, from 0. 0 asks only.
   *
   * @default 1
   */
  readonly cost?: ((request: HttpServerRequest.HttpServerRequest) => number) | undefined
  /**
   * Names the requests that pass without a look at their quota.
   *
   * @default the paths `/livez`, `/readyz` and `/metrics`
   */
  readonly skip?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
}

type Handler = Effect.Effect<HttpServerResponse, Types.unhandled>

/**
 * Creates a `Middleware` that takes the quota of each request to its routes before their handlers run, and sets `RateLimit` and
 * `RateLimit-Policy` on every response, also on those of a handler that failed.
 *
 * **Details**
 *
 * A request over its quota is answered 429 at once, with `Retry-After` and a problem of the type `quota-exceeded` that names the policies
 * in `violated-policies`; its body is not read and no token is taken. A handler that is interrupted has paid all the same. Under
 * several limits, one inside another, the fields list the policies of all, and what an outer one has taken is not given back.
 *
 * **Example** (A limit of some routes)
 *
 * ```ts
 * const limited = RateLimit.middleware(RateLimit.make({ limit: 10, burst: 20 }))
 * const search = HttpRouter.add("GET", "/search", handler).pipe(Layer.provide(limited.layer))
 * ```
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = <E, KE = never, KR = never>(limit: RateLimit<E>, options: MiddlewareOptions<KE, KR> = {}) => {
  const wrap = limitHandler(limit, options)
  return HttpRouter.middleware((handler: Handler) => wrap(handler))
}

/**
 * The same for all routes of the router, and for requests that match none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGlobal = <E, KE = never, KR = never>(
  limit: RateLimit<E>,
  options: MiddlewareOptions<KE, KR> = {}
) => {
  const wrap = limitHandler(limit, options)
  return HttpRouter.middleware((handler: Handler) => wrap(handler), { global: true })
}
