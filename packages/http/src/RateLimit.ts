/**
 * A quota for each client: a token bucket in memory, for a bounded number of clients.
 *
 * It protects the clients of a server from each other. The server itself is protected by its door, which answers 503; this answers
 * 429, with the fields of draft-ietf-httpapi-ratelimit-headers-11.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { clientOf, parseAddress, trustNetworks } from "./internal/clientAddress.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { withoutStack } from "./internal/withoutStack.ts"

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
    /** The name of the limit. */
    policy: Schema.String,
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
    return `the quota "${this.policy}" is used up: ${this.cost} of at most ${this.burst} asked for`
  }
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The name of the policy in header fields and errors: letters, digits, `-` and `_`.
   *
   * @default "default"
   */
  readonly name?: string | undefined
  /** Tokens that each client gains a second. Above 0, finite. */
  readonly limit: number
  /** The most tokens a client can save up, and what it begins with. At least 1, finite. */
  readonly burst: number
  /**
   * Clients that are remembered, an integer from 1. Beyond it the one that was not seen for longest is forgotten: it begins with a
   * full bucket again. About 150 bytes each.
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
export const defaults = { name: "default", maxKeys: 100_000 } as const

/**
 * What a client has left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quota {
  /** Tokens left now, rounded down. */
  readonly remaining: number
  /** Until the bucket is full again. */
  readonly reset: Duration.Duration
  /** The header fields `ratelimit` and `ratelimit-policy`, to be set on the response if clients shall see them. */
  readonly headers: { readonly ratelimit: string; readonly "ratelimit-policy": string }
}

/**
 * A rate limit. Made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit {
  /** The name of the policy. */
  readonly name: string
  /**
   * Takes tokens from the bucket of a client, all or none, and says what is left. Fails with `RateLimited` when there are too few; it
   * never waits. The cost is 1 unless given; 0 only asks.
   */
  readonly take: (key: string, cost?: number) => Effect.Effect<Quota, RateLimited>
  /**
   * Takes nothing, and fails with `RateLimited` when the client has not one token left: what `take(key)` would fail with.
   *
   * **Details**
   *
   * For a cost that is only known after work, such as reading a body: `check` before that work, then one `take` of the whole cost.
   * A refusal by either costs no token, and that of the `take` has the `retryAfter` of the whole cost. It reserves nothing: of
   * many requests that passed the check at once some may be refused by their `take`.
   */
  readonly check: (key: string) => Effect.Effect<void, RateLimited>
  /** The number of clients remembered now. */
  readonly size: Effect.Effect<number>
}

interface Bucket {
  tokens: number
  updatedAt: number
}

/**
 * Creates a rate limit.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range. A take is O(1) and synchronous; nothing runs in between.
 *
 * **Example** (100 requests a second for each client)
 *
 * ```ts
 * const quota = RateLimit.make({ limit: 100, burst: 200 })
 * const limited = Effect.flatMap(RateLimit.clientKey(), (client) => quota.take(client))
 * const handler = Effect.andThen(limited, answer)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): RateLimit => {
  const { burst, limit, maxKeys = defaults.maxKeys, name = defaults.name } = options
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(`RateLimit.make: ${field} must be ${range}, got ${String(value)}`)
  }
  if (!/^[\w-]+$/.test(name)) refuse("name", "letters, digits, - and _", JSON.stringify(name))
  if (!(limit > 0 && limit < Infinity)) refuse("limit", "a finite number > 0", limit)
  if (!(burst >= 1 && burst < Infinity)) refuse("burst", "a finite number >= 1", burst)
  if (!(Number.isInteger(maxKeys) && maxKeys >= 1)) refuse("maxKeys", "an integer >= 1", maxKeys)

  // A map iterates in the order of insertion: taking a key out and putting it back makes its first key the least recently seen.
  const buckets = new Map<string, Bucket>()
  const policyField = `"${name}";q=${Math.floor(burst)};w=${Math.max(1, Math.ceil(burst / limit))}`

  const bucketOf = (key: string, now: number): Bucket => {
    const found = buckets.get(key)
    if (found === undefined) {
      const bucket = { tokens: burst, updatedAt: now }
      if (buckets.size >= maxKeys) buckets.delete(buckets.keys().next().value!)
      buckets.set(key, bucket)
      return bucket
    }
    buckets.delete(key)
    buckets.set(key, found)
    found.tokens = Math.min(burst, found.tokens + ((now - found.updatedAt) / 1000) * limit)
    found.updatedAt = now
    return found
  }

  const fields = (tokens: number): Quota["headers"] => ({
    ratelimit: `"${name}";r=${Math.floor(tokens)};t=${Math.ceil((burst - tokens) / limit)}`,
    "ratelimit-policy": policyField
  })

  const limited = (cost: number, tokens: number) => {
    const seconds = cost > burst ? Infinity : (cost - tokens) / limit
    const ratelimit = fields(tokens)
    const headers =
      seconds === Infinity ? { ...ratelimit } : { ...ratelimit, "retry-after": String(Math.max(1, Math.ceil(seconds))) }
    const retryAfter = seconds === Infinity ? Duration.infinity : Duration.millis(Math.ceil(seconds * 1000))
    return Effect.fail(
      withoutStack(() => new RateLimited({ policy: name, cost, burst, retryAfter, headers }, { disableChecks: true }))
    )
  }

  return {
    name,
    take: (key, cost = 1) =>
      Effect.withFiber((fiber): Effect.Effect<Quota, RateLimited> => {
        if (!(cost >= 0)) return Effect.die(new RangeError(`RateLimit.take: cost must be >= 0, got ${cost}`))
        const bucket = bucketOf(key, monotonicMillis(fiber.getRef(Clock.Clock)))
        if (cost > bucket.tokens) return limited(cost, bucket.tokens)
        bucket.tokens -= cost
        const { tokens } = bucket
        return Effect.succeed({
          remaining: Math.floor(tokens),
          reset: Duration.millis(Math.ceil(((burst - tokens) / limit) * 1000)),
          headers: fields(tokens)
        })
      }),
    check: (key) =>
      Effect.withFiber((fiber): Effect.Effect<void, RateLimited> => {
        const { tokens } = bucketOf(key, monotonicMillis(fiber.getRef(Clock.Clock)))
        return tokens < 1 ? limited(1, tokens) : Effect.void
      }),
    size: Effect.sync(() => buckets.size)
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
): Effect.Effect<string, never, HttpServerRequest.HttpServerRequest> => {
  const networks = options.trustedProxies ?? []
  const isTrusted = Result.getOrElse(trustNetworks(networks), (network) => {
    throw new RangeError(`RateLimit.clientKey: trustedProxies must be networks like 10.0.0.0/8, got ${network}`)
  })
  return Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const socketAddress = Option.getOrUndefined(request.remoteAddress)
    if (socketAddress === undefined) return "unknown"
    // The plain case pays for no parsing.
    if (networks.length === 0 && !socketAddress.includes(":")) return socketAddress
    const peer = parseAddress(socketAddress)
    return peer === undefined ? socketAddress : toKey(clientOf(peer, request.headers["x-forwarded-for"], isTrusted))
  })
}

const toKey = (address: NetAddress.IpAddress): string =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.formatIp(address)
    : IpNetwork.format(IpNetwork.fromAddressUnsafe(address, 64))
