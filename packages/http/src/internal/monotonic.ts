import type { Clock } from "effect/Clock"

/** The monotonic clock in milliseconds, the unit and origin of `Deadline.CurrentDeadline`. */
export const monotonicMillis = (clock: Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
