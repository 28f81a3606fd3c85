/**
 * A client that opens as many connections as it can, as fast as it can, and holds them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Attack from "./Attack.ts"
import * as swarm from "./internal/swarm.ts"
import type { Input } from "./Target.ts"

/**
 * Options of `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Attack.Options {
  /**
   * How many connections there are. An integer from 1; the system limits how many files a process opens (`ulimit -n`), and how many ports
   * an address has to one target (about 28,000).
   *
   * @default 1000
   */
  readonly connections?: number | undefined
  /**
   * How many connections are being opened at once. An integer from 1, or `Infinity`.
   *
   * @default 500
   */
  readonly connectConcurrency?: number | undefined
  /**
   * How long each connection is held from the time it was open. Above 0; `Infinity` waits without limit.
   *
   * @default "10 seconds"
   */
  readonly duration?: Attack.Options["duration"]
  /**
   * What each connection sends at once, a text as Latin-1: a whole request shows in the `statuses` of the report which connections the
   * server really took, since the system accepts connections before the server does.
   *
   * @default ""
   */
  readonly bytes?: string | Uint8Array | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  connections: 1000,
  connectConcurrency: 500,
  duration: "10 seconds"
} as const satisfies Options

/**
 * Opens connections as fast as `connectConcurrency` allows, holds each for `duration`, and reports how each of them ended and how long
 * opening it took.
 *
 * **Details**
 *
 * Those that the server refused at accept are `refused`, or `closed` or `reset` soon after they were open. It does not fail. Interruption
 * closes all connections at once. `OpenLoop.during` measures how another client fares meanwhile.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options = {}): Effect.Effect<Attack.Report> =>
  swarm.run(
    "ConnectionFlood.run",
    target,
    { ...defaults, ...swarm.withoutUndefined(options) },
    {
      open: swarm.plain(),
      act: (connection) => (options.bytes === undefined ? Effect.void : connection.write(options.bytes))
    }
  )
