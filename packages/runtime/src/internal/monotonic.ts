import type { Clock } from "effect/Clock"

/** The monotonic clock in milliseconds. All threads of a process share it, which is why deadlines can travel to workers. */
export const monotonicMillis = (clock: Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
