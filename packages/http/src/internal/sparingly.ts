import * as Effect from "effect/Effect"
import { monotonicMillis } from "./monotonic.ts"

/** What is made may take one part in so many of the time. */
const part = 10

/** What may be made in a row all the same, in milliseconds: whoever asks seldom gets what is. */
const burst = 100

/**
 * Makes something anew as long as that takes no more than a tenth of the time, and tells what was made last otherwise: for what is asked for
 * by those whom nothing else bounds. The account is that of a token bucket, as a theoretical arrival time (ITU-T I.371, GCRA), in
 * milliseconds of making.
 */
export const sparingly = <A, E, R>(make: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let last: { readonly value: A; readonly took: number } | undefined
  /** When it may be made again. */
  let dueAt = -Infinity
  return Effect.clockWith((clock) =>
    Effect.suspend(() => {
      const began = monotonicMillis(clock)
      if (last !== undefined && began < dueAt) return Effect.succeed(last.value)
      // Paid for in advance as far as it is known: others may come while it is made, and who makes it may be interrupted.
      const expected = last?.took ?? 0
      dueAt = Math.max(dueAt, began - burst * part) + expected * part
      return Effect.map(make, (value) => {
        const took = monotonicMillis(clock) - began
        dueAt += (took - expected) * part
        last = { value, took }
        return value
      })
    })
  )
}
