/**
 * What may be set, in one table: the environment variables, their defaults and meanings. `--help`, the flags and the table of the README are
 * made of it or compared with it.
 *
 * The options of the server (`SPILLWAY_HTTP_…`) are read from the environment beside these: see `@spillway/http/ServerConfig`.
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { limits } from "./live/limits.ts"

/** A variable: what it holds, what it is without being set, as one would set it, and what it is for. */
interface Variable<A> {
  readonly schema: Schema.ConstraintCodec<A, unknown>
  readonly fallback: string
  readonly meaning: string
}

const variable = <A>(schema: Schema.ConstraintCodec<A, unknown>, fallback: string, meaning: string): Variable<A> => ({
  schema,
  fallback,
  meaning
})

/** A schema that says of whatever it does not take what is expected instead. */
const described = <S extends Schema.Constraint>(expected: string, schema: S) =>
  Schema.catchDecoding<S>(() => Effect.fail(new SchemaIssue.InvalidValue({ expected })))(schema)

const wholeNumber = (minimum: number, maximum?: number) =>
  described(
    `a whole number from ${minimum}${maximum === undefined ? "" : ` to ${maximum}`}`,
    Schema.Int.check(Schema.isBetween({ minimum, maximum: maximum ?? Number.MAX_SAFE_INTEGER }))
  )

const duration = described(
  "a duration such as 12 hours, from 1 second",
  Schema.DurationFromString.check(Schema.makeFilter(Duration.isGreaterThanOrEqualTo(Duration.seconds(1))))
)

/** Bytes. Below a MiB there would be hardly anything to keep. */
const size = described(
  "a size such as 512 MiB, from 1 MiB",
  Schema.Union([Schema.ByteSizeFromString, Schema.Int, Schema.Literal("Infinity")]).check(
    Schema.makeFilter((value) => Number(value) >= 2 ** 20)
  )
)

export const variables = {
  PORT: variable(wholeNumber(0, 65_535), "8080", "TCP port, 0 to 65535; 0 lets the system choose"),
  HOST: variable(Schema.NonEmptyString, "127.0.0.1", "address to listen on; `0.0.0.0` is all of them"),
  METRICSTREAM_DB: variable(
    Schema.NonEmptyString,
    ".data/metricstream.db",
    "database file; its folder is made if need be"
  ),
  METRICSTREAM_RETENTION: variable(
    duration,
    "30 days",
    "how long events are kept, such as `12 hours`, from 1 second; `Infinity` keeps them for ever"
  ),
  METRICSTREAM_MAX_SIZE: variable(
    size,
    "1 GiB",
    "to what size the database file is kept, such as `512 MiB`, or in bytes, from 1 MiB; the oldest events go first; `Infinity` sets no limit"
  ),
  METRICSTREAM_MAX_SERIES: variable(
    wholeNumber(1),
    "10000",
    "how many series there may be; events of further ones are refused"
  ),
  METRICSTREAM_RATE_LIMIT: variable(
    wholeNumber(1),
    "20000",
    "events a second that each client may send; in a burst twice as many"
  ),
  METRICSTREAM_MAX_VIEWERS: variable(
    wholeNumber(1, limits.viewers),
    "8",
    `how many live pages each client may watch at once, up to the ${limits.viewers} that all together may`
  ),
  METRICSTREAM_SAMPLER: variable(Schema.Literals(["on", "off"]), "on", "`off` does not measure this machine")
} as const

export type VariableName = keyof typeof variables

const fallbacks = ConfigProvider.fromUnknown(
  Object.fromEntries(Object.entries(variables).map(([name, { fallback }]) => [name, fallback]))
)

type ValueOf<Name extends VariableName> = (typeof variables)[Name] extends Variable<infer A> ? A : never

const read = <Name extends VariableName>(name: Name): Config.Config<ValueOf<Name>> =>
  Config.schema((variables[name] as unknown as Variable<ValueOf<Name>>).schema, name)

const settings = Config.all({
  port: read("PORT"),
  host: read("HOST"),
  database: read("METRICSTREAM_DB"),
  retention: read("METRICSTREAM_RETENTION"),
  /** Bytes, or `Infinity`. */
  maxSize: Config.map(read("METRICSTREAM_MAX_SIZE"), Number),
  maxSeries: read("METRICSTREAM_MAX_SERIES"),
  rateLimit: read("METRICSTREAM_RATE_LIMIT"),
  maxViewers: read("METRICSTREAM_MAX_VIEWERS"),
  sampler: read("METRICSTREAM_SAMPLER")
})

export type Settings = Config.Success<typeof settings>

/** Reads the settings from the environment. Fails with a `ConfigError` that names the variable that is wrong. */
export const config = Effect.flatMap(ConfigProvider.ConfigProvider, (provider) =>
  settings.parse(ConfigProvider.orElse(provider, fallbacks))
)
