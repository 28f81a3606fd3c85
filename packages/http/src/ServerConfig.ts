/**
 * Every option of the server in one place: what it limits, its unit, its range, its default, and its environment variable.
 *
 * | option | default | environment variable |
 * |---|---|---|
 * | `port` | none: it must be given | `SPILLWAY_HTTP_PORT` |
 * | `host` | `127.0.0.1` | `SPILLWAY_HTTP_HOST` |
 * | `backlog` | 511 | `SPILLWAY_HTTP_BACKLOG` |
 * | `inherit` | `false` | `SPILLWAY_HTTP_INHERIT` (`true`, `false` or a name) |
 * | `maxConnections` | 10,000 | `SPILLWAY_HTTP_MAX_CONNECTIONS` |
 * | `maxConnectionsPerAddress` | Infinity | `SPILLWAY_HTTP_MAX_CONNECTIONS_PER_ADDRESS` |
 * | `trustedProxies` | none | `SPILLWAY_HTTP_TRUSTED_PROXIES` (separated by commas) |
 * | `tls` | none: cleartext | `SPILLWAY_HTTP_TLS_KEY_FILE`, `SPILLWAY_HTTP_TLS_CERT_FILE` |
 * | `http2` | `true` | `SPILLWAY_HTTP_HTTP2` |
 * | `maxConcurrentStreams` | 100 | `SPILLWAY_HTTP_MAX_CONCURRENT_STREAMS` |
 * | `maxHeaderSize` | 16 KiB | `SPILLWAY_HTTP_MAX_HEADER_SIZE` |
 * | `maxHeaders` | 100 | `SPILLWAY_HTTP_MAX_HEADERS` |
 * | `maxTargetSize` | 8 KiB | `SPILLWAY_HTTP_MAX_TARGET_SIZE` |
 * | `headersTimeout` | 10 seconds | `SPILLWAY_HTTP_HEADERS_TIMEOUT` |
 * | `bodyTimeout` | 30 seconds | `SPILLWAY_HTTP_BODY_TIMEOUT` |
 * | `maxBodySize` | 1 MiB | `SPILLWAY_HTTP_MAX_BODY_SIZE` |
 * | `maxAwaitedBody` | 64 KiB | `SPILLWAY_HTTP_MAX_AWAITED_BODY` |
 * | `maxBufferedBodies` | 128 MiB | `SPILLWAY_HTTP_MAX_BUFFERED_BODIES` |
 * | `minBodyRate` | 240 bytes a second | `SPILLWAY_HTTP_MIN_BODY_RATE` |
 * | `minResponseRate` | 240 bytes a second | `SPILLWAY_HTTP_MIN_RESPONSE_RATE` |
 * | `rateGrace` | 5 seconds | `SPILLWAY_HTTP_RATE_GRACE` |
 * | `keepAliveTimeout` | 65 seconds | `SPILLWAY_HTTP_KEEP_ALIVE_TIMEOUT` |
 * | `maxConcurrent` | 1024 | `SPILLWAY_HTTP_MAX_CONCURRENT` |
 * | `maxQueued` | 1024 | `SPILLWAY_HTTP_MAX_QUEUED` |
 * | `maxQueueWait` | 1 second | `SPILLWAY_HTTP_MAX_QUEUE_WAIT` |
 * | `queueTarget` | 20 millis | `SPILLWAY_HTTP_QUEUE_TARGET` |
 * | `queueInterval` | 100 millis | `SPILLWAY_HTTP_QUEUE_INTERVAL` |
 * | `requestDeadline` | 30 seconds | `SPILLWAY_HTTP_REQUEST_DEADLINE` |
 * | `maxWebSocketMessageSize` | 1 MiB | `SPILLWAY_HTTP_MAX_WEB_SOCKET_MESSAGE_SIZE` |
 * | `maxWebSocketQueue` | 256 KiB | `SPILLWAY_HTTP_MAX_WEB_SOCKET_QUEUE` |
 * | `webSocketSlowConsumer` | wait | `SPILLWAY_HTTP_WEB_SOCKET_SLOW_CONSUMER` |
 * | `webSocketPingInterval` | 30 seconds | `SPILLWAY_HTTP_WEB_SOCKET_PING_INTERVAL` |
 * | `webSocketCloseTimeout` | 5 seconds | `SPILLWAY_HTTP_WEB_SOCKET_CLOSE_TIMEOUT` |
 * | `preStop` | 0 | `SPILLWAY_HTTP_PRE_STOP` |
 * | `drainTimeout` | 10 seconds | `SPILLWAY_HTTP_DRAIN_TIMEOUT` |
 *
 * Those of `OverloadOptions`, `rateLimit` among them, hold functions, and have neither default nor variable.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { IncomingMessage } from "node:http"
import { trustNetworks } from "./internal/clientAddress.ts"
import type { Trust } from "./internal/clientAddress.ts"
import { classes, maxRefusalRate } from "./internal/classify.ts"
import type { Classes } from "./internal/classify.ts"
import { nameVariable, slowConsumerPolicies, variables } from "./internal/configVariables.ts"
import { defaults } from "./ServerOptions.ts"
import type { Options, Tls, WebSocketSlowConsumer } from "./ServerOptions.ts"
import type { Options as RateLimitOptions } from "./ServerRateLimit.ts"

/**
 * The options, described one by one.
 *
 * @category options
 * @since 0.1.0
 */
export * from "./ServerOptions.ts"

/**
 * The options with their defaults, times in milliseconds and sizes in bytes; `trustedProxies` says whether an address is one. Made by `resolve`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved {
  readonly port: number
  readonly host: string
  readonly backlog: number
  readonly inherit: boolean | string
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly trustedProxies: Trust
  readonly tls: Tls | undefined
  readonly http2: boolean
  readonly maxConcurrentStreams: number
  readonly maxHeaderSize: number
  readonly maxHeaders: number
  readonly maxTargetSize: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly maxBodySize: number
  readonly maxAwaitedBody: number
  readonly maxBufferedBodies: number
  readonly minBodyRate: number
  readonly minResponseRate: number
  readonly rateGrace: number
  readonly keepAliveTimeout: number
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly maxQueueWait: number
  readonly queueTarget: number
  readonly queueInterval: number
  readonly requestDeadline: number
  readonly maxWebSocketMessageSize: number
  readonly maxWebSocketQueue: number
  readonly webSocketSlowConsumer: WebSocketSlowConsumer
  readonly webSocketPingInterval: number
  readonly webSocketCloseTimeout: number
  readonly preStop: number
  readonly drainTimeout: number
  readonly exempt: (request: IncomingMessage) => boolean
  readonly classes: Classes
  readonly rateLimit: RateLimitOptions | undefined
  readonly maxRefusalRate: number
}

/** `ws` takes a size for an integer of 32 bits, and 0 for no limit. */
const maxInt32 = 2 ** 31 - 1

// Written with `??`, the union of the two inputs is too much for the compiler.
const withDefault = <A>(value: A | undefined, fallback: A): A => (value === undefined ? fallback : value)

const finite = (field: string, value: number): number => (value === Infinity ? refuse(field, "finite", value) : value)

const atMost = (field: string, value: number, max: number): number =>
  value > max ? refuse(field, `at most ${max}`, value) : value

const refuse = (field: string, range: string, value: unknown): never => {
  throw new RangeError(`Server.layer: ${field} must be ${range}, got ${String(value)}`)
}

const withCertificate = (tls: Tls | undefined): Tls | undefined => {
  if (tls === undefined || tls.pfx !== undefined) return tls
  const { cert, certFile, key, keyFile } = tls
  const complete = (keyFile ?? key) !== undefined && (certFile ?? cert) !== undefined
  return complete ? tls : refuse("tls", "both a key and a certificate", "one of them, or neither")
}

/**
 * Checks options and fills in the defaults.
 *
 * **Details**
 *
 * Throws a `RangeError` that names the first option outside its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = (options: Options): Resolved => {
  const count = (
    field:
      | "backlog"
      | "maxConnections"
      | "maxConnectionsPerAddress"
      | "maxConcurrentStreams"
      | "maxHeaders"
      | "maxConcurrent"
      | "maxQueued",
    min: number
  ): number => {
    const value = options[field] ?? defaults[field]
    if (Number.isInteger(value) && value >= min) return value
    return value === Infinity && field !== "backlog" ? value : refuse(field, `an integer >= ${min}`, value)
  }
  const millis = (
    field:
      | "headersTimeout"
      | "bodyTimeout"
      | "rateGrace"
      | "keepAliveTimeout"
      | "maxQueueWait"
      | "queueTarget"
      | "queueInterval"
      | "requestDeadline"
      | "webSocketPingInterval"
      | "webSocketCloseTimeout"
      | "preStop"
      | "drainTimeout",
    min: number
  ): number => {
    const input = withDefault<Duration.Input>(options[field], defaults[field])
    const value = Option.getOrUndefined(Duration.fromInput(input))
    // Effect takes NaN for zero.
    if (value === undefined || Object.is(input, Number.NaN) || !(Duration.toMillis(value) >= min)) {
      return refuse(field, min === 0 ? "a duration >= 0" : `a duration of at least ${min} ms`, input)
    }
    return Duration.toMillis(value)
  }
  const bytes = (
    field:
      | "maxHeaderSize"
      | "maxTargetSize"
      | "maxBodySize"
      | "maxAwaitedBody"
      | "maxBufferedBodies"
      | "maxWebSocketMessageSize"
      | "maxWebSocketQueue",
    min: number
  ): number => {
    const input = withDefault<ByteSize.Input>(options[field], defaults[field])
    const value = Option.getOrUndefined(ByteSize.fromInput(input))
    return value === undefined || Number(value) < min
      ? refuse(field, `a size of at least ${min} bytes`, input)
      : Number(value)
  }
  const rate = (field: "minBodyRate" | "minResponseRate"): number => {
    const value = options[field] ?? defaults[field]
    return value >= 0 && Number.isFinite(value) ? value : refuse(field, "a finite number >= 0", value)
  }
  const trust = trustNetworks(options.trustedProxies ?? defaults.trustedProxies)
  const { host = defaults.host, port, webSocketSlowConsumer = defaults.webSocketSlowConsumer } = options
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) refuse("port", "an integer from 0 to 65535", port)
  if (host === "") refuse("host", "an address", '""')
  if (options.inherit === "") refuse("inherit", "true, false or a name", '""')
  if (!slowConsumerPolicies.includes(webSocketSlowConsumer)) {
    refuse("webSocketSlowConsumer", slowConsumerPolicies.join(" or "), webSocketSlowConsumer)
  }
  const queueTarget = millis("queueTarget", 1)
  const queueInterval = finite("queueInterval", millis("queueInterval", 1))
  if (queueTarget !== Infinity && queueInterval <= queueTarget) {
    refuse("queueInterval", `longer than queueTarget (${queueTarget} ms)`, queueInterval)
  }
  const maxWebSocketMessageSize = bytes("maxWebSocketMessageSize", 1)
  if (maxWebSocketMessageSize > maxInt32) refuse("maxWebSocketMessageSize", "less than 2 GiB", maxWebSocketMessageSize)
  return {
    port,
    host,
    backlog: count("backlog", 1),
    inherit: options.inherit ?? defaults.inherit,
    maxConnections: count("maxConnections", 1),
    maxConnectionsPerAddress: count("maxConnectionsPerAddress", 1),
    trustedProxies: Result.getOrElse(trust, (network) => refuse("trustedProxies", "networks like 10.0.0.0/8", network)),
    tls: withCertificate(options.tls),
    http2: options.http2 ?? defaults.http2,
    maxConcurrentStreams: atMost("maxConcurrentStreams", count("maxConcurrentStreams", 1), 2 ** 32 - 1),
    maxHeaderSize: bytes("maxHeaderSize", 1024),
    maxHeaders: count("maxHeaders", 1),
    maxTargetSize: bytes("maxTargetSize", 16),
    headersTimeout: millis("headersTimeout", 1000),
    bodyTimeout: millis("bodyTimeout", 1000),
    maxBodySize: bytes("maxBodySize", 0),
    maxAwaitedBody: atMost("maxAwaitedBody", bytes("maxAwaitedBody", 0), 65_536),
    maxBufferedBodies: bytes("maxBufferedBodies", 0),
    minBodyRate: rate("minBodyRate"),
    minResponseRate: rate("minResponseRate"),
    rateGrace: finite("rateGrace", millis("rateGrace", 1000)),
    keepAliveTimeout: millis("keepAliveTimeout", 1000),
    maxConcurrent: count("maxConcurrent", 1),
    maxQueued: count("maxQueued", 0),
    maxQueueWait: millis("maxQueueWait", 0),
    queueTarget,
    queueInterval,
    requestDeadline: millis("requestDeadline", 1),
    maxWebSocketMessageSize,
    maxWebSocketQueue: bytes("maxWebSocketQueue", 0),
    webSocketSlowConsumer,
    webSocketPingInterval: millis("webSocketPingInterval", 1000),
    webSocketCloseTimeout: millis("webSocketCloseTimeout", 1000),
    preStop: millis("preStop", 0),
    drainTimeout: millis("drainTimeout", 0),
    exempt: options.exempt ?? defaults.exempt,
    classes: classes(options),
    rateLimit: options.rateLimit,
    maxRefusalRate: maxRefusalRate(options)
  }
}

/**
 * Reads the options that are set in the environment, by the names in the table of this module.
 *
 * **Details**
 *
 * Durations are written like `"5 seconds"`, sizes like `"2 MiB"`. Fails with a `ConfigError` that names the variable of a bad value.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEnvironment: Effect.Effect<Partial<Options>, Config.ConfigError> = Effect.flatMap(
  ConfigProvider.ConfigProvider,
  (provider) => variables.parse(ConfigProvider.constantCase(provider))
).pipe(
  Effect.mapError(nameVariable),
  Effect.map(({ tlsCertFile: certFile, tlsKeyFile: keyFile, ...values }) => {
    const tls = certFile === undefined && keyFile === undefined ? undefined : { keyFile, certFile }
    return Object.fromEntries(Object.entries({ ...values, tls }).filter(([, value]) => value !== undefined))
  })
)
