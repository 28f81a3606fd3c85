/** What the live page draws of the server itself: shared by the server, which measures it, and by the browser. */

/**
 * The figures of one second, in the order in which they travel. Rates are per second, times in seconds, everything else is a number of
 * things at the end of the second.
 *
 * | figure | is |
 * |---|---|
 * | `stored` | events a second that reached the disk |
 * | `pending` | events that wait for their commit |
 * | `answered`, `refused`, `failed` | requests a second that ended below 500 but for 429; with 429 or 503; with any other 5xx |
 * | `p50`, `p99` | how long the requests took that ended in this second |
 * | `running`, `queued` | requests inside the door, and waiting at it |
 * | `loopP50`, `loopP99` | how late the event loop was |
 * | `busy`, `waiting` | offload workers that run a task, and tasks that wait for one |
 */
export const figures = [
  "stored",
  "pending",
  "answered",
  "refused",
  "failed",
  "p50",
  "p99",
  "running",
  "queued",
  "loopP50",
  "loopP99",
  "busy",
  "waiting"
] as const

export type Figure = (typeof figures)[number]

/** A second of the server. `null` is what it does not have, as the latency of no requests. */
export type Figures = Readonly<Record<Figure, number | null>>

/** A second as it travels: its time in milliseconds since 1970, then each figure. */
export type Point = ReadonlyArray<number | null>

/** How the stream goes, in milliseconds. */
export const rhythm = {
  /** From one point to the next. */
  interval: 1000,
  /** How long points are kept, to be seen by those who come. */
  keep: 900_000,
  /** The longest time in which a viewer is sent nothing: after it, a comment. */
  heartbeat: 5000
} as const

/** What a viewer is told first. */
export interface Hello {
  /** That of the page's files: a page of another version loads itself again, once. */
  readonly version: string
  /** Milliseconds from one point to the next. */
  readonly interval: number
  /** How many points the server keeps. */
  readonly keep: number
  /** The number of offload workers. */
  readonly workers: number
  /** The present time of the server in milliseconds since 1970. */
  readonly now: number
}

/**
 * A series that got events: its name, how many it has now, and of the new one with the latest timestamp that timestamp and the value.
 *
 * Not how many it got: who hears of it may know of some of them already.
 */
export type Change = readonly [name: string, count: number, timestamp: number, value: number]

/** What changed in a second. With `more` there were too many to name. */
export interface News {
  readonly changes: ReadonlyArray<Change>
  readonly more: boolean
}

/** The last buckets of a series that is watched. A column for each of `watchedAggregations`, with `null` where a bucket is empty. */
export interface Tail {
  readonly name: string
  readonly from: number
  readonly step: number
  readonly columns: ReadonlyArray<ReadonlyArray<number | null>>
}

/** What the page asks of each bucket of the chosen series. */
export const watchedAggregations = ["count", "min", "p50", "p90", "p99", "max", "avg"] as const
