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
 * What the server measures of itself, for signals with other thresholds than the built-in ones. Each is measured at the moment at which the
 * signals are sampled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measured {
  /** For how long the request that has waited longest at the door waits, in milliseconds. 0 when none waits. */
  readonly queueDelay: () => number
  /** How late the event loop was since the last sample, the 99th percentile in milliseconds. */
  readonly eventLoopDelay: () => number
  /** The share of the time since the last sample that the event loop was busy, from 0 to 1. */
  readonly eventLoopUtilization: () => number
}

/**
 * A signal that the server knows by its name, sampled without any plumbing.
 *
 * **Details**
 *
 * - `heap`: the part of V8's heap limit in use, as `LoadSignals.heap`.
 * - `eventLoopDelay`: the 99th percentile of a window of 100 ms, as `LoadSignals.eventLoopDelay`.
 * - `eventLoopUtilization`: of the same window, as `LoadSignals.eventLoopUtilization`. It never refuses normal requests.
 * - `queueDelay`: the longest wait at the door, from `queueTarget` to twice that, smoothed over 100 ms, ceiling 0.5: once the queue is late it
 *   keeps sheddable requests out of it, and leaves the others to the rule of `queueTarget`. Without `queueTarget` (`Infinity`) it is as
 *   if that had its default.
 *
 * @category models
 * @since 0.1.0
 */
export type BuiltInSignal = "heap" | "eventLoopDelay" | "eventLoopUtilization" | "queueDelay"

/**
 * A signal of the server: the name of a built-in one, one of `LoadSignals`, or a function that makes one of what the server measures.
 *
 * **Example** (Other thresholds, and a pool of threads)
 *
 * ```ts
 * Server.layer({
 *   signals: [
 *     "heap",
 *     ({ eventLoopDelay }) => LoadSignals.eventLoopDelay(eventLoopDelay, { start: 50, full: 200 }),
 *     LoadSignals.saturation("images", () => Effect.runSync(Offload.saturation(images)))
 *   ]
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type SignalSource = BuiltInSignal | Signal | ((measured: Measured) => Signal)

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
   * before `sheddable` ones; where there is no room the less urgent give way, and `signals` refuse them first. Of several `partitions` it
   * is the share that decides which is served next, and priorities order the requests of one. `Priority` makes such functions from routes
   * and headers. It is called once for each request that is not exempt, and must not throw; what is none of the three counts as `normal`.
   *
   * @default all requests are normal
   */
  readonly priority?: ((request: IncomingMessage) => Priority) | undefined
  /**
   * Groups of requests, by tenant or by route for example, with their shares of the server: finite numbers above 0, relative to their sum.
   * A group can use what the others leave, and none can keep the others from their share of permits, of turns, and of places to wait;
   * see `AdmissionQueue.Options.partitions`. There is always one named `default`, of share 1 unless it is given.
   *
   * With a share guaranteed although all permits are out, more than `maxConcurrent` may be inside: up to what the others had borrowed of it,
   * and less than twice `maxConcurrent`, however many groups there are. No request takes the place to wait of one that is more urgent.
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
   *
   * An answer of 500 or more counts as dropped, and so does a `requestDeadline` that passed, and a client that went away, or whose own
   * deadline passed (`DeadlineHeader`), when its request had taken longer than the mean. Clients that gave up sooner, and answers of 503, as
   * of a full `Bulkhead`, count for nothing.
   *
   * An adaptive limit is for servers whose requests all wait for the same thing, of unknown capacity. Where they wait for different things it
   * is not told from the others which of them is slow: the limit goes down for all, and those that are fast are refused with the rest. There
   * give a `Bulkhead` to each dependency, which can have an adaptive limit of its own; `docs/adaptive-limit.md` has figures. The processor
   * needs no limit: that is what `queueTarget` is for. With at most 16 permits, or without a limit, `"adaptive"` is `"fixed"`. Each event loop
   * of `MultiLoop` finds a limit of its own, from 16 up to its part of `maxConcurrent`.
   *
   * @default "fixed"
   */
  readonly concurrencyLimit?: "adaptive" | "fixed" | (() => AdaptiveLimit) | undefined
  /**
   * Refusals a second, above 0, that are sent as fast as requests come: each costs some 20 us. Beyond it a connection whose last 16 requests
   * were all refused is not read for a second, so that its client's next ones wait in its own kernel; but not that of a trusted proxy, nor one
   * of HTTP/2. `Infinity` holds nobody.
   *
   * @default 5000
   */
  readonly maxRefusalRate?: number | undefined
  /**
   * What says how near the process is to its limits (`LoadSignals`), sampled every 100 ms: `sheddable` requests are refused with a
   * probability that rises with the highest of them, then `normal` ones, `critical` ones never. No two may have the same name.
   *
   * One whose `sample` throws is logged, once until it works again; after a second its pressure falls to 0 in half a second at most.
   *
   * @default none
   */
  readonly signals?: ReadonlyArray<SignalSource> | undefined
}
