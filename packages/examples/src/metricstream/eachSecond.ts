/** What is done once a second, always at the same part of the clock's second, so that what two processes do so keeps its order. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/**
 * The milliseconds from a time to the next one that is so many milliseconds after a full second, but for the next half of a second: a timer that
 * came early by a hair, or what took so long, does not have it done twice in a row.
 */
export const pauseUntil = (now: number, phase: number): number => 500 + ((((phase - 500 - now) % 1000) + 1000) % 1000)

/** Does something so many milliseconds after each full second of the clock, for ever. A second for which it is too late is left out. */
export const eachSecond = <E, R>(self: Effect.Effect<void, E, R>, phase: number): Effect.Effect<never, E, R> =>
  Clock.currentTimeMillis.pipe(
    Effect.flatMap((now) => Effect.delay(self, Duration.millis(pauseUntil(now, phase)))),
    Effect.forever
  )

/** When in the clock's second: each has what was done before, and time to end before the next. */
export const phases = {
  /** The sampler measures the machine. A bucket of a second, and a second of the live page, has one sample, neither none nor two. */
  sample: 500,
  /** The series that are watched are read: what is found goes out with the point that follows. */
  read: 750,
  /** The live page's figures are measured. */
  measure: 0
} as const
