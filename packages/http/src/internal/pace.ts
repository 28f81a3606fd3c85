import { periodMillis } from "./sweep.ts"

/** What a client must keep up with: so many bytes a second (0: it need not), and how long it may fall behind. */
export interface Pace {
  readonly bytesPerSecond: number
  readonly graceMillis: number
}

/**
 * The time for which a client may go on to be slow, after it was waited for during `elapsed` milliseconds and moved `bytes`.
 *
 * A token bucket of time: it begins with the grace, loses the time in which we wait for the client, gains for each byte the time
 * that the byte may take at the least rate, and never holds more than the grace. So a client at the rate or above it is never cut off,
 * however long it takes, and one that stalls has the grace, however fast it was before; Kestrel's average over the whole
 * body lets a fast beginning pay for a stall of any length.
 *
 * More than one period is never charged at once: when the process itself stood still, that is not the client's fault
 * (dotnet/aspnetcore#4707).
 */
export const allowance = (before: number, elapsed: number, bytes: number, pace: Pace): number => {
  if (pace.bytesPerSecond === 0) return pace.graceMillis
  const earned = (bytes / pace.bytesPerSecond) * 1000
  return Math.min(pace.graceMillis, before - Math.min(elapsed, periodMillis) + earned)
}
