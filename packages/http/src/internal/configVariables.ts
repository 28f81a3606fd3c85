import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { trustNetworks } from "./clientAddress.ts"

/** What may become of a message for a WebSocket whose peer does not keep up. */
export const slowConsumerPolicies = ["wait", "close", "drop"] as const

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
const size = (name: string, min: number, max = Infinity) =>
  optional(
    Schema.ByteSize.check(
      Schema.makeFilter((value) => Number(value) >= min || `must be at least ${min} bytes`),
      Schema.makeFilter((value) => Number(value) <= max || `must be at most ${max} bytes`)
    ),
    name
  )

const byteRate = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const networks = Schema.String.pipe(
  Schema.decodeTo(Schema.Array(Schema.String), {
    decode: SchemaGetter.transform((text: string) => text.split(",").map((network) => network.trim())),
    encode: SchemaGetter.transform((list: ReadonlyArray<string>) => list.join(","))
  }),
  Schema.check(
    Schema.makeFilter(
      (list: ReadonlyArray<string>) => Result.isSuccess(trustNetworks(list)) || "must be networks like 10.0.0.0/8"
    )
  )
)

/** The environment variables of the server, below `SPILLWAY_HTTP_`. */
export const variables = Config.all({
  port: optional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 })), "port"),
  host: optional(Schema.NonEmptyString, "host"),
  backlog: optional(atLeast(1), "backlog"),
  inherit: Config.map(optional(Schema.NonEmptyString, "inherit"), (value) =>
    value === "true" ? true : value === "false" ? false : value
  ),
  maxConnections: optional(atLeast(1), "maxConnections"),
  maxConnectionsPerAddress: optional(atLeast(1), "maxConnectionsPerAddress"),
  trustedProxies: optional(networks, "trustedProxies"),
  tlsKeyFile: optional(Schema.NonEmptyString, "tlsKeyFile"),
  tlsCertFile: optional(Schema.NonEmptyString, "tlsCertFile"),
  http2: Config.map(optional(Schema.Literals(["true", "false"]), "http2"), (value) =>
    value === undefined ? undefined : value === "true"
  ),
  maxConcurrentStreams: optional(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 32 - 1 })),
    "maxConcurrentStreams"
  ),
  maxHeaderSize: size("maxHeaderSize", 1024),
  maxHeaders: optional(atLeast(1), "maxHeaders"),
  maxTargetSize: size("maxTargetSize", 16),
  headersTimeout: duration("headersTimeout", 1000),
  bodyTimeout: duration("bodyTimeout", 1000),
  maxBodySize: size("maxBodySize", 0),
  maxAwaitedBody: size("maxAwaitedBody", 0, 65_536),
  maxBufferedBodies: size("maxBufferedBodies", 0),
  minBodyRate: optional(byteRate, "minBodyRate"),
  minResponseRate: optional(byteRate, "minResponseRate"),
  rateGrace: duration("rateGrace", 1000),
  keepAliveTimeout: duration("keepAliveTimeout", 1000),
  maxConcurrent: optional(atLeast(1), "maxConcurrent"),
  maxQueued: optional(atLeast(0), "maxQueued"),
  maxQueueWait: duration("maxQueueWait", 0),
  queueTarget: duration("queueTarget", 1),
  queueInterval: duration("queueInterval", 1),
  requestDeadline: duration("requestDeadline", 1),
  maxWebSocketMessageSize: size("maxWebSocketMessageSize", 1),
  maxWebSocketQueue: size("maxWebSocketQueue", 0),
  webSocketSlowConsumer: optional(Schema.Literals(slowConsumerPolicies), "webSocketSlowConsumer"),
  webSocketPingInterval: duration("webSocketPingInterval", 1000),
  webSocketCloseTimeout: duration("webSocketCloseTimeout", 1000),
  preStop: duration("preStop", 0),
  drainTimeout: duration("drainTimeout", 0)
}).pipe(Config.nested("http"), Config.nested("spillway"))

/** Effect names the path `["spillway"]["http"]["preStop"]`; whoever set `SPILLWAY_HTTP_PRE_STOP` looks for that. */
export const nameVariable = (error: Config.ConfigError): Config.ConfigError => {
  if (error.cause._tag !== "SchemaError" || error.cause.issue._tag !== "Pointer") return error
  const { issue, path } = error.cause.issue
  const variable = path.map((key) => String(key).replaceAll(/[A-Z]/g, "_$&").toUpperCase()).join("_")
  return new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.Pointer([variable], issue)))
}
