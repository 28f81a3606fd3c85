/**
 * Every option of the server in one place: what it limits, its unit, its range, its default, and its environment variable.
 *
 * | option | default | environment variable |
 * |---|---|---|
 * | `port` | none: it must be given | `SPILLWAY_HTTP_PORT` |
 * | `host` | `127.0.0.1` | `SPILLWAY_HTTP_HOST` |
 * | `backlog` | 511 | `SPILLWAY_HTTP_BACKLOG` |
 * | `maxConnections` | 10,000 | `SPILLWAY_HTTP_MAX_CONNECTIONS` |
 * | `maxHeaderSize` | 16 KiB | `SPILLWAY_HTTP_MAX_HEADER_SIZE` |
 * | `headersTimeout` | 10 seconds | `SPILLWAY_HTTP_HEADERS_TIMEOUT` |
 * | `bodyTimeout` | 30 seconds | `SPILLWAY_HTTP_BODY_TIMEOUT` |
 * | `maxBodySize` | 1 MiB | `SPILLWAY_HTTP_MAX_BODY_SIZE` |
 * | `maxBufferedBodies` | 128 MiB | `SPILLWAY_HTTP_MAX_BUFFERED_BODIES` |
 * | `keepAliveTimeout` | 65 seconds | `SPILLWAY_HTTP_KEEP_ALIVE_TIMEOUT` |
 * | `maxConcurrent` | 1024 | `SPILLWAY_HTTP_MAX_CONCURRENT` |
 * | `maxQueued` | 1024 | `SPILLWAY_HTTP_MAX_QUEUED` |
 * | `maxQueueWait` | 1 second | `SPILLWAY_HTTP_MAX_QUEUE_WAIT` |
 * | `requestDeadline` | 30 seconds | `SPILLWAY_HTTP_REQUEST_DEADLINE` |
 * | `preStop` | 0 | `SPILLWAY_HTTP_PRE_STOP` |
 * | `drainTimeout` | 10 seconds | `SPILLWAY_HTTP_DRAIN_TIMEOUT` |
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { IncomingMessage } from "node:http"

/**
 * Options of `Server.layer`. Durations are `Duration.Input`, sizes are `ByteSize.Input`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The TCP port, 0 to 65,535. `0` lets the system choose a free one. */
  readonly port: number
  /**
   * The address to listen on. `"0.0.0.0"` or `"::"` listens on all.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
  /**
   * Connections that the kernel holds until they are accepted. An integer from 1; the kernel may cap it (`net.core.somaxconn`).
   * Node's own default.
   *
   * @default 511
   */
  readonly backlog?: number | undefined
  /**
   * Connections open at once. One more is closed as soon as it is accepted, before anything is read. An integer from 1, or
   * `Infinity` for no limit. Keep it under half of the process's file descriptors.
   *
   * @default 10000
   */
  readonly maxConnections?: number | undefined
  /**
   * Bytes of a request line and its headers together; more is answered 431. From 1 KiB. Node's own default.
   *
   * @default "16 KiB"
   */
  readonly maxHeaderSize?: ByteSize.Input | undefined
  /**
   * From the first byte of a request (on a new connection: from its start) to the end of its headers; longer is answered 408. Kept to
   * a second. From 1 second; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly headersTimeout?: Duration.Input | undefined
  /**
   * For the whole body of a request; longer is answered 408 and the connection closes. `JsonBody` counts from when it begins to read;
   * bodies that nobody waits for are cut off `headersTimeout + bodyTimeout` after the first byte of their request. From 1 second;
   * `Infinity` waits without limit.
   *
   * @default "30 seconds"
   */
  readonly bodyTimeout?: Duration.Input | undefined
  /**
   * Bytes of a request body; more is answered 413, before it is read when Content-Length says so. Bounds every reader of
   * `HttpServerRequest` through `HttpIncomingMessage.MaxBodySize`, which a route may override. From 0, which allows only empty
   * bodies. Fastify's and Beast's default.
   *
   * @default "1 MiB"
   */
  readonly maxBodySize?: ByteSize.Input | undefined
  /**
   * Bytes of all bodies together that `JsonBody` has begun to read and still waits for, since they hold no permit of the door; the
   * request that would exceed it is answered 503 and its connection closes. A body that came with its head does not count. From 0,
   * which refuses every body that is to be waited for. Give it several times `maxBodySize`.
   *
   * @default "128 MiB"
   */
  readonly maxBufferedBodies?: ByteSize.Input | undefined
  /**
   * How long a connection is kept open between two requests. Longer than the 60 seconds that load balancers usually keep theirs, or
   * they send requests into connections that are just being closed. From 1 second; `Infinity` keeps them without limit.
   *
   * @default "65 seconds"
   */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /**
   * Requests inside at once: their handlers have not produced their response yet. An integer from 1, or `Infinity` for no limit.
   *
   * The default bounds memory and the number of fibers, not CPU: by Little's law 1024 inside are 10,000 requests a second that take
   * 100 ms each. Set it to what your dependencies carry.
   *
   * @default 1024
   */
  readonly maxConcurrent?: number | undefined
  /**
   * Requests that wait at the door; one more is answered 503. An integer from 0, which refuses what cannot start at once, or
   * `Infinity` for no bound.
   *
   * @default 1024
   */
  readonly maxQueued?: number | undefined
  /**
   * The longest wait at the door; longer is answered 503. From 0; `Infinity` waits as long as `requestDeadline` allows.
   *
   * @default "1 second"
   */
  readonly maxQueueWait?: Duration.Input | undefined
  /**
   * From the arrival of a request's headers until its handler must have produced the response, the wait at the door included. When it
   * passes, the handler is interrupted and the answer is 504. Streaming the body of the response does not count. From 1 ms;
   * `Infinity` sets no deadline.
   *
   * @default "30 seconds"
   */
  readonly requestDeadline?: Duration.Input | undefined
  /**
   * How long a stopping server goes on accepting connections after its readiness turned 503, so that load balancers can notice. From
   * 0.
   *
   * @default 0
   */
  readonly preStop?: Duration.Input | undefined
  /**
   * How long requests in flight may take to end after the listener has closed; then their fibers are interrupted. From 0, which
   * interrupts at once; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly drainTimeout?: Duration.Input | undefined
  /**
   * Requests that pass outside the door: probes must be answered however great the load.
   *
   * @default paths `/livez`, `/readyz` and `/metrics`
   */
  readonly exempt?: ((request: IncomingMessage) => boolean) | undefined
}

const probes = new Set(["/livez", "/readyz", "/metrics"])

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: { readonly [K in Exclude<keyof Options, "port">]-?: Exclude<Options[K], undefined> } = {
  host: "127.0.0.1",
  backlog: 511,
  maxConnections: 10_000,
  maxHeaderSize: "16 KiB",
  headersTimeout: "10 seconds",
  bodyTimeout: "30 seconds",
  maxBodySize: "1 MiB",
  maxBufferedBodies: "128 MiB",
  keepAliveTimeout: "65 seconds",
  maxConcurrent: 1024,
  maxQueued: 1024,
  maxQueueWait: "1 second",
  requestDeadline: "30 seconds",
  preStop: 0,
  drainTimeout: "10 seconds",
  exempt: (request: IncomingMessage): boolean => probes.has(request.url!)
}

/**
 * The options with their defaults, times in milliseconds and sizes in bytes. Made by `resolve`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resolved {
  readonly port: number
  readonly host: string
  readonly backlog: number
  readonly maxConnections: number
  readonly maxHeaderSize: number
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly maxBodySize: number
  readonly maxBufferedBodies: number
  readonly keepAliveTimeout: number
  readonly maxConcurrent: number
  readonly maxQueued: number
  readonly maxQueueWait: number
  readonly requestDeadline: number
  readonly preStop: number
  readonly drainTimeout: number
  readonly exempt: (request: IncomingMessage) => boolean
}

// Written with `??`, the union of the two inputs is too much for the compiler.
const withDefault = <A>(value: A | undefined, fallback: A): A => (value === undefined ? fallback : value)

const refuse = (field: string, range: string, value: unknown): never => {
  throw new RangeError(`Server.layer: ${field} must be ${range}, got ${String(value)}`)
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
  const count = (field: "backlog" | "maxConnections" | "maxConcurrent" | "maxQueued", min: number): number => {
    const value = options[field] ?? defaults[field]
    if (Number.isInteger(value) && value >= min) return value
    return value === Infinity && field !== "backlog" ? value : refuse(field, `an integer >= ${min}`, value)
  }
  const millis = (
    field:
      | "headersTimeout"
      | "bodyTimeout"
      | "keepAliveTimeout"
      | "maxQueueWait"
      | "requestDeadline"
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
  const bytes = (field: "maxHeaderSize" | "maxBodySize" | "maxBufferedBodies", min: number): number => {
    const input = withDefault<ByteSize.Input>(options[field], defaults[field])
    const value = Option.getOrUndefined(ByteSize.fromInput(input))
    return value === undefined || Number(value) < min
      ? refuse(field, `a size of at least ${min} bytes`, input)
      : Number(value)
  }
  const { host = defaults.host, port } = options
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) refuse("port", "an integer from 0 to 65535", port)
  if (host === "") refuse("host", "an address", '""')
  return {
    port,
    host,
    backlog: count("backlog", 1),
    maxConnections: count("maxConnections", 1),
    maxHeaderSize: bytes("maxHeaderSize", 1024),
    headersTimeout: millis("headersTimeout", 1000),
    bodyTimeout: millis("bodyTimeout", 1000),
    maxBodySize: bytes("maxBodySize", 0),
    maxBufferedBodies: bytes("maxBufferedBodies", 0),
    keepAliveTimeout: millis("keepAliveTimeout", 1000),
    maxConcurrent: count("maxConcurrent", 1),
    maxQueued: count("maxQueued", 0),
    maxQueueWait: millis("maxQueueWait", 0),
    requestDeadline: millis("requestDeadline", 1),
    preStop: millis("preStop", 0),
    drainTimeout: millis("drainTimeout", 0),
    exempt: options.exempt ?? defaults.exempt
  }
}

const atLeast = (min: number) => Schema.Int.check(Schema.isGreaterThanOrEqualTo(min))
const optional = <A>(schema: Schema.ConstraintCodec<A, unknown>, name: string) =>
  Config.schema(schema, name).pipe(Config.option, Config.map(Option.getOrUndefined))
const duration = (name: string, min: number) =>
  optional(
    Schema.DurationFromString.check(
      Schema.makeFilter((value) => Duration.toMillis(value) >= min || `must be at least ${min} milliseconds`)
    ),
    name
  )
const size = (name: string, min: number) =>
  optional(
    Schema.ByteSize.check(Schema.makeFilter((value) => Number(value) >= min || `must be at least ${min} bytes`)),
    name
  )

const variables = Config.all({
  port: optional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 })), "port"),
  host: optional(Schema.NonEmptyString, "host"),
  backlog: optional(atLeast(1), "backlog"),
  maxConnections: optional(atLeast(1), "maxConnections"),
  maxHeaderSize: size("maxHeaderSize", 1024),
  headersTimeout: duration("headersTimeout", 1000),
  bodyTimeout: duration("bodyTimeout", 1000),
  maxBodySize: size("maxBodySize", 0),
  maxBufferedBodies: size("maxBufferedBodies", 0),
  keepAliveTimeout: duration("keepAliveTimeout", 1000),
  maxConcurrent: optional(atLeast(1), "maxConcurrent"),
  maxQueued: optional(atLeast(0), "maxQueued"),
  maxQueueWait: duration("maxQueueWait", 0),
  requestDeadline: duration("requestDeadline", 1),
  preStop: duration("preStop", 0),
  drainTimeout: duration("drainTimeout", 0)
}).pipe(Config.nested("http"), Config.nested("spillway"))

/** Effect names the path `["spillway"]["http"]["preStop"]`; whoever set `SPILLWAY_HTTP_PRE_STOP` looks for that. */
const nameVariable = (error: Config.ConfigError): Config.ConfigError => {
  if (error.cause._tag !== "SchemaError" || error.cause.issue._tag !== "Pointer") return error
  const { issue, path } = error.cause.issue
  const variable = path.map((key) => String(key).replaceAll(/[A-Z]/g, "_$&").toUpperCase()).join("_")
  return new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.Pointer([variable], issue)))
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
  Effect.map((values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)))
)
