/**
 * What the environment sets.
 *
 * | variable | default | meaning |
 * |---|---|---|
 * | `PORT` | 8080 | TCP port, 0 to 65535; 0 lets the system choose |
 * | `HOST` | 127.0.0.1 | address to listen on |
 * | `ARCHITECTURE_WORKERS` | 2 x cores; cores for `multi-loop` | threads of `thread-pool`, loops of `multi-loop`, 1 to 1024 |
 * | `ARCHITECTURE_MAX_QUEUED` | 1000 | connections that wait for a thread of `thread-pool`; 0 is none |
 * | `ARCHITECTURE_BALANCING` | shared-queue | which thread of `thread-pool` a connection waits for, see `balancing/balancing.ts` |
 * | `ARCHITECTURE_RECEIVE_TIMEOUT` | 30 seconds | how long a request may take to arrive, for the three that hold a thread for it; 1 second and more |
 * | `ARCHITECTURE_DRAIN_TIMEOUT` | 30 seconds | how long these three may take to finish when they are stopped |
 * | `ARCHITECTURE_CRASH` | off | `on` gives `multi-loop` a route `/crash`, which ends the loop that answers it |
 *
 * `event-driven`, `hybrid` and `multi-loop` read the options of `@spillway/http/ServerConfig` (`SPILLWAY_HTTP_…`) too.
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { availableParallelism } from "node:os"
import { balancings } from "./balancing/balancing.ts"

export const names = [
  "sequential",
  "thread-per-request",
  "thread-pool",
  "event-driven",
  "hybrid",
  "multi-loop"
] as const

export type Name = (typeof names)[number]

export const address = Config.all({
  port: Config.schema(Schema.Port, "PORT").pipe(Config.withDefault(8080)),
  host: Config.schema(Schema.NonEmptyString, "HOST").pipe(Config.withDefault("127.0.0.1"))
})

const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }, { expected: `a whole number from ${minimum} to ${maximum}` }))

export const workers = (fallback: number) =>
  Config.schema(between(1, 1024), "ARCHITECTURE_WORKERS").pipe(Config.withDefault(fallback))

/** Of `thread-pool`. */
export const pool = Config.all({
  workers: workers(2 * availableParallelism()),
  maxQueued: Config.schema(between(0, 1_000_000), "ARCHITECTURE_MAX_QUEUED").pipe(Config.withDefault(1000)),
  balancing: Config.schema(Schema.Literals(balancings), "ARCHITECTURE_BALANCING").pipe(
    Config.withDefault("shared-queue")
  )
})

/** A duration such as `5 seconds`, of so many milliseconds and more. */
const duration = (name: string, minimum: number) =>
  Config.schema(
    Schema.DurationFromString.check(
      Schema.makeFilter((value) => Duration.toMillis(value) >= minimum || `must be at least ${minimum} milliseconds`)
    ),
    name
  ).pipe(Config.withDefault(Duration.seconds(30)))

/** Of those that hold a thread for a connection. */
export const timeouts = Config.all({
  receive: duration("ARCHITECTURE_RECEIVE_TIMEOUT", 1000),
  drain: duration("ARCHITECTURE_DRAIN_TIMEOUT", 0)
})

export const canCrash = Config.schema(Schema.Literals(["on", "off"]), "ARCHITECTURE_CRASH").pipe(
  Config.withDefault("off"),
  Config.map((value) => value === "on")
)
