/**
 * The options of the server that say who may ask how much, and which requests matter most when there are more than it can carry. `ServerConfig` has the others.
 *
 * @since 0.1.0
 */
import type { AdaptiveLimit } from "@spillway/runtime/AdaptiveLimit"
import type { Signal } from "@spillway/runtime/LoadSignals"
import type { IncomingMessage } from "node:http"
import type { Priority } from "./Priority.ts"
import type { Options as RateLimitOptions } from "./ServerRateLimit.ts"

/**
 * Options of `Server.layer` about overload.
 *
 * @category options
 * @since 0.1.0
 */
export interface OverloadOptions {
  /**
   * The quota of each client, taken before the door. A request over it is answered 429 (`quota-exceeded`, with `Retry-After`, `RateLimit` and
   * `RateLimit-Policy`) without a fiber, and its body is not read; what handlers answer has the two fields, too. What the door refuses, and
   * what fails, has been charged. Requests that `exempt` names pass. WebSocket handshakes are limited as other requests are.
   *
   * @default none
   */
  readonly rateLimit?: RateLimitOptions | undefined
  /**
   * How urgent a request is, judged by its head before anything is spent on it: `critical` ones are started before `normal` ones, and those
   * before `sheddable` ones; where there is no room the less urgent give way, and `signals` refuse them first. `Priority` makes such
   * functions from routes and headers. It is called once for each request that is not exempt, and must not throw.
   *
   * @default all requests are normal
   */
  readonly priority?: ((request: IncomingMessage) => Priority) | undefined
  /**
   * Groups of requests, by tenant or by route for example, with their shares of the server: finite numbers above 0, relative to their sum.
   * A group can use what the others leave, and none can keep the others from their share of permits, of turns, and of places to wait;
   * see `AdmissionQueue.Options.partitions`. There is always one named `default`, of share 1 unless it is given.
   *
   * With a share guaranteed although all permits are out, more than `maxConcurrent` may be inside: up to what the others had borrowed of it.
   *
   * @default { default: 1 }
   */
  readonly partitions?: Readonly<Record<string, number>> | undefined
  /**
   * The name of the partition that a request belongs to, judged by its head. One that is not in `partitions` counts as `default`. It is called
   * once for each request that is not exempt, and must not throw.
   *
   * @default all requests are in `default`
   */
  readonly partition?: ((request: IncomingMessage) => string | undefined) | undefined
  /**
   * What finds the number of permits from the latency and the outcome of the requests; `maxConcurrent` is the most it may be.
   * `"adaptive"` is `AdaptiveLimit.knee` from 16 up to `maxConcurrent`: it begins with all permits, and takes some away when less do as
   * much, or when more than one in twenty is dropped. `"fixed"` leaves them all. A function makes one of your own (`AdaptiveLimit.make`).
   * An answer of 500 or more, and a deadline that passed, count as dropped; clients that went away and answers of 503, as
   * of a full `Bulkhead`, count for nothing.
   *
   * One limit for all routes is a last resort: where requests wait for different things, give a `Bulkhead` to each, which can have an
   * adaptive limit of its own. `docs/adaptive-limit.md` has the reasons for the default, and what it costs. With at most 16 permits, or
   * without a limit, `"adaptive"` is `"fixed"`.
   *
   * @default "adaptive"
   */
  readonly concurrencyLimit?: "adaptive" | "fixed" | (() => AdaptiveLimit) | undefined
  /**
   * What says how near the process is to its limits (`LoadSignals`), sampled every 100 ms: `sheddable` requests are refused with a
   * probability that rises with the highest of them, then `normal` ones, `critical` ones never.
   *
   * @default none
   */
  readonly signals?: ReadonlyArray<Signal> | undefined
}
