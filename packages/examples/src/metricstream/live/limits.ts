import { rhythm } from "./figures.ts"

/** All limits of the live page, in one place. */
export const limits = {
  /** Viewers at once. */
  viewers: 64,
  /** Points that are kept, one a second: a quarter of an hour. */
  points: rhythm.keep / rhythm.interval,
  /** News that are kept, one a second. */
  news: 30,
  /** Series that one piece of news names. */
  changes: 256
} as const
