/**
 * The rate limit of the server itself: judged by the head of a request, before the door and before there is a fiber.
 *
 * It is the first thing that a client's requests are charged for, and what it refuses costs little. `RateLimit.middleware` is for limits
 * of some routes that need more than the head, and for those that machines share.
 *
 * @since 0.1.0
 */
import type { IncomingMessage } from "node:http"
import { isSecret, secretKey } from "./internal/rateLimit/clientKeys.ts"
import type { LocalRateLimit } from "./RateLimit.ts"

/**
 * Says which client sent a request, by its head. `addressOf` gives the key of a client that is known by its address alone: the address behind
 * the `trustedProxies` of the server, for IPv6 its /64 network.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = (request: IncomingMessage, addressOf: (request: IncomingMessage) => string) => string

/**
 * The option `rateLimit` of the server. Where one of its functions throws, the request is answered 500, and the failure is logged.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The limit, made by `RateLimit.make`. A middleware may take from the same one. */
  readonly limit: LocalRateLimit
  /**
   * Says which client sent a request. It runs for anyone: keep it cheap.
   *
   * @default the client's address
   */
  readonly key?: Key | undefined
  /**
   * The tokens that a request costs, from 0. 0 asks only.
   *
   * @default 1
   */
  readonly cost?: ((request: IncomingMessage) => number) | undefined
  /**
   * Names the requests that pass without a look at their quota, beside those that the server's `exempt` names.
   *
   * @default none
   */
  readonly skip?: ((request: IncomingMessage) => boolean) | undefined
}

/**
 * Options of `byApiKey`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ApiKeyOptions {
  /**
   * The header field with the key. It is taken whole: with `authorization`, `isKnown` sees the scheme too.
   *
   * @default "x-api-key"
   */
  readonly header?: string | undefined
  /**
   * The keys that are yours, or what says whether one is. It is not optional: if any key were believed, a client would have a fresh quota for
   * each one that it makes up.
   */
  readonly isKnown: ReadonlySet<string> | ((key: string) => boolean)
}

/**
 * Creates a `Key` that tells clients by their API keys, and those without a known one by their addresses.
 *
 * **Details**
 *
 * The secret itself is not kept in memory, but its SHA-256: the same key as that of `RateLimit.apiKey`. A key of more than 512 characters
 * is unknown.
 *
 * **Example** (Quotas of customers)
 *
 * ```ts
 * const quotas = RateLimit.make({ limit: 100, burst: 200 })
 * const server = Server.layer({
 *   port: 8080,
 *   rateLimit: { limit: quotas, key: ServerRateLimit.byApiKey({ isKnown: customers }) }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const byApiKey = (options: ApiKeyOptions): Key => {
  const header = (options.header ?? "x-api-key").toLowerCase()
  const known = options.isKnown
  const isKnown = typeof known === "function" ? known : (key: string) => known.has(key)
  return (request, addressOf) => {
    const secret = request.headers[header]
    return isSecret(secret) && isKnown(secret) ? secretKey(secret) : addressOf(request)
  }
}
