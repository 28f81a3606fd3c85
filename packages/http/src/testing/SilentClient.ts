/**
 * Clients that connect and then say nothing, or stop in the middle.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as RawClient from "./RawClient.ts"

/**
 * Opens so many connections that each send the same bytes (none by default) and then nothing more. They end with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  target: RawClient.Target,
  count: number,
  bytes: string = ""
): Effect.Effect<ReadonlyArray<RawClient.Connection>, RawClient.ConnectFailed, Scope.Scope> =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.tap(RawClient.connect(target), (connection) => connection.write(bytes)),
    { concurrency: 50 }
  )
