/**
 * Clients that connect and then say nothing, or stop in the middle.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Attack from "./Attack.ts"
import * as swarm from "./internal/swarm.ts"
import * as RawClient from "./RawClient.ts"
import type { Input } from "./Target.ts"

/**
 * Options of `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Attack.Options {
  /**
   * What each connection sends before it goes silent, a text as Latin-1: the beginning of a request, or a whole one to see how long the
   * server keeps an idle connection.
   *
   * @default ""
   */
  readonly bytes?: string | Uint8Array | undefined
}

/**
 * Opens connections that send nothing, or the same few bytes and then nothing more, and reports how each of them ended.
 *
 * **Details**
 *
 * Returns when all have ended or were watched for `duration`. It does not fail: connections that could not be opened are in the report.
 * Interruption closes them at once.
 *
 * **Example** (A server that must end silent connections)
 *
 * ```ts
 * const report = yield* SilentClient.run("http://127.0.0.1:3000", { connections: 100, duration: "15 seconds" })
 * assert.strictEqual(report.endings.open, 0)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options = {}): Effect.Effect<Attack.Report> =>
  swarm.run("SilentClient.run", target, options, {
    open: swarm.plain(),
    act: (connection) => (options.bytes === undefined ? Effect.void : connection.write(options.bytes))
  })

/**
 * Opens so many connections that each send the same bytes (none by default) and then nothing more. They end with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  target: Input,
  count: number,
  bytes: string = ""
): Effect.Effect<ReadonlyArray<RawClient.Connection>, RawClient.ConnectFailed, Scope.Scope> =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.tap(RawClient.connect(target), (connection) => connection.write(bytes)),
    { concurrency: 50 }
  )
