/**
 * The options of the server that say which requests matter most when there are more than it can carry. `ServerConfig` has the others.
 *
 * @since 0.1.0
 */
import type { AdaptiveLimit } from "@spillway/runtime/AdaptiveLimit"
import type { Signal } from "@spillway/runtime/LoadSignals"
import type { IncomingMessage } from "node:http"
import type { Priority } from "./Priority.ts"

/**
 * Options of `Server.layer` about overload.
 *
 * @category options
 * @since 0.1.0
 */
export interface OverloadOptions {
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
   * Makes what finds the number of permits from the latency and the outcome of the requests (`AdaptiveLimit.make`); `maxConcurrent` is the
   * most it may be. An answer of 500 or more, and a deadline that passed, count as dropped; clients that went away count for nothing.
   *
   * One limit for all routes is right where they depend on the same thing. Elsewhere put an adaptive limit to a `Bulkhead` of that
   * dependency: requests that wait for different things have no latency in common.
   *
   * @default the number of permits is `maxConcurrent`
   */
  readonly concurrencyLimit?: (() => AdaptiveLimit) | undefined
  /**
   * What says how near the process is to its limits (`LoadSignals`), sampled every 100 ms: `sheddable` requests are refused with a
   * probability that rises with the highest of them, then `normal` ones, `critical` ones never.
   *
   * @default none
   */
  readonly signals?: ReadonlyArray<Signal> | undefined
}
