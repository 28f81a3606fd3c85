/** What the project's source documents claim, as they claim it. */

/** Answers a second and megabytes of memory of comparison 1; `null` where nothing is said. */
export const throughputClaims: Readonly<
  Record<string, { readonly perSecond: number | null; readonly megabytes: number | null }>
> = {
  sequential: { perSecond: 10, megabytes: 8 },
  "pool of 8": { perSecond: 80, megabytes: 64 },
  "pool of 32": { perSecond: 320, megabytes: 256 },
  "event-driven": { perSecond: 1000, megabytes: 20 },
  "8 loops": { perSecond: 8000, megabytes: 50 }
}

/** How many requests each of those serves at a time; the others as many as there are clients. */
export const atATime: Readonly<Record<string, number>> = { sequential: 1, "pool of 8": 8, "pool of 32": 32 }

/** Seconds of comparison 2, unscaled. */
export const waitingClaims: Readonly<Record<string, number>> = { sequential: 20, "pool of 4": 6, "event-driven": 2 }

/** Per cent answered in comparison 7, by the rate offered. */
export const ingestClaims: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  "thread-per-request": { 500: 98.5, 1000: 88, 2000: 50, 5000: 44, 10_000: 20 },
  "pool of 16": { 500: 99.5, 1000: 98, 2000: 95, 5000: 85, 10_000: 70 }
}

/** Microseconds for a request of comparison 7. */
export const costClaims: Readonly<Record<string, number>> = { "thread-per-request": 834, "pool of 16": 45 }
export const workClaim = 34

/** What the issue of this project asks of MetricStream: at least so many per cent at a rate. */
export const ingestTargets: Readonly<Record<number, number>> = { 2000: 99.9, 5000: 99, 10_000: 95 }

/** Answers a second that one event loop has to reach in comparison 1. */
export const throughputTarget = 9000

/** How much later an honest client may have its answer in comparison 6 than on an idle server. */
export const slowlorisTarget = 3
