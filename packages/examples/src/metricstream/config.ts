/**
 * What the environment sets, beside the options of the server (`SPILLWAY_HTTP_…`, see `@spillway/http/ServerConfig`).
 *
 * | variable | default | meaning |
 * |---|---|---|
 * | `PORT` | 8080 | TCP port, 0 to 65535; 0 lets the system choose |
 * | `HOST` | 127.0.0.1 | address to listen on; 0.0.0.0 is all of them |
 * | `METRICSTREAM_DB` | .data/metricstream.db | database file; its folder is made if need be |
 * | `METRICSTREAM_RATE_LIMIT` | 20000 | events per second that each client may send, from 1; in a burst twice as many |
 * | `METRICSTREAM_SAMPLER` | on | `off` does not measure this machine |
 */
import * as Config from "effect/Config"
import * as Schema from "effect/Schema"

export const config = Config.all({
  port: Config.schema(Schema.Port, "PORT").pipe(Config.withDefault(8080)),
  host: Config.schema(Schema.NonEmptyString, "HOST").pipe(Config.withDefault("127.0.0.1")),
  database: Config.schema(Schema.NonEmptyString, "METRICSTREAM_DB").pipe(Config.withDefault(".data/metricstream.db")),
  rateLimit: Config.schema(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(1, { expected: "a whole number from 1" })),
    "METRICSTREAM_RATE_LIMIT"
  ).pipe(Config.withDefault(20_000)),
  sampler: Config.schema(Schema.Literals(["on", "off"]), "METRICSTREAM_SAMPLER").pipe(Config.withDefault("on"))
})
