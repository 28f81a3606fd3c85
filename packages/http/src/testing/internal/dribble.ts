import * as Effect from "effect/Effect"
import type { Watched } from "./Watched.ts"

/** Sends one piece after the other, one each interval, until there is none or the connection has ended. */
export const dribble = Effect.fnUntraced(function* (
  connection: Watched,
  pieces: Iterable<string | Uint8Array>,
  intervalMillis: number
) {
  for (const piece of pieces) {
    if (connection.ending !== "open") return
    yield* connection.write(piece)
    yield* Effect.sleep(intervalMillis)
  }
})
