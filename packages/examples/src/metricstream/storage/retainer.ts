/**
 * Deletes the oldest events, a little at a time, and keeps the files of a database small: plain blocking functions, run by the storage
 * worker between groups of new events.
 *
 * Each call works for some milliseconds, in a transaction of its own, and leaves everything consistent: it may be the last one before
 * the power fails. What is deleted first: what is older than it may be; then, while the database is too large, the oldest events of
 * all series, slice by slice of a hundredth of the time that they span. Within a series they go in the order of time, in runs that lie side
 * by side in the table, so that a call touches few pages.
 */
import type { DatabaseSync } from "node:sqlite"
import { defaults as spaceDefaults, makeSpace } from "./space.ts"
import type { Limits as SpaceLimits, Sizes } from "./space.ts"
import { transaction } from "./transaction.ts"

/** What may stay, in plain numbers: it crosses to the worker. */
export interface Policy {
  /** Events before this time go: milliseconds since 1970. */
  readonly keepFrom: number
  /** The oldest events go while the database uses more bytes than this. `Infinity` keeps all. */
  readonly maxBytes: number
  /** Free space goes back to the disk while the file has more bytes than this. `Infinity` sets no limit. */
  readonly maxFileBytes: number
  /** The present time, in milliseconds since 1970. */
  readonly now: number
  /** For how many milliseconds to work, from 0. What is begun is finished, so it takes a few more, and something is always done. */
  readonly budget: number
}

/** What a call has done, and what there is now. */
export interface Retained extends Sizes {
  /** Events deleted because of their age, and because of the size of the database. */
  readonly aged: number
  readonly crowded: number
  /** Whether there is more to do. */
  readonly more: boolean
  /** For how many milliseconds it has worked. */
  readonly millis: number
  readonly series: number
}

export interface Retainer {
  /** Deletes for a while, if there is something to delete, and says what there is. */
  readonly retain: (policy: Policy) => Retained
  readonly sizes: () => Sizes
}

/** What `makeRetainer` goes by. */
export interface Limits extends SpaceLimits {
  /** Events that are deleted by one statement. */
  readonly batch: number
  /** Statements of one call. In many short series each changes a page of its own, and it is the commit that then takes the time. */
  readonly batches: number
}

export const defaults: Limits = { batch: 1000, batches: 200, ...spaceDefaults }

/** Makes the retainer of a database that has its tables. */
export const makeRetainer = (db: DatabaseSync, limits: Limits = defaults): Retainer => {
  const remover = makeRemover(db, limits.batch)
  const space = makeSpace(db, limits)
  const countSeries = db.prepare("SELECT count(*) AS count FROM series")

  return {
    sizes: space.sizes,
    retain: (policy) => {
      const start = performance.now()
      const isTimeLeft = () => performance.now() - start < policy.budget
      space.emptyLog()
      const deleted = { aged: 0, crowded: 0 }
      const bound = () => remover.bound(policy, space.usedBytes())
      const isMore = () => bound() !== undefined || space.spare(policy.maxFileBytes) > 0
      if (isMore()) {
        transaction(db, () => {
          let oldest = bound()
          if (oldest === undefined) return space.shrink(policy.maxFileBytes)
          // Once whatever the budget is: a call that does nothing would be repeated for ever.
          let batches = 0
          do {
            deleted[oldest.reason] += remover.deleteBatch(oldest.series, oldest.until)
            oldest = bound()
          } while (oldest !== undefined && ++batches < limits.batches && isTimeLeft())
        })
      }
      return {
        ...deleted,
        more: isMore(),
        millis: performance.now() - start,
        series: (countSeries.get() as { readonly count: number }).count,
        ...space.sizes()
      }
    }
  }
}

/** The statements that find and delete the oldest events. None of them looks at more rows than it has to. */
export const statements = {
  selectOldest: "SELECT id, first_timestamp AS first FROM series ORDER BY first_timestamp LIMIT 1",
  selectEnd: `SELECT timestamp, sequence FROM events WHERE series_id = ? AND timestamp < ?
     ORDER BY timestamp, sequence LIMIT 1 OFFSET ?`,
  deleteEvents: "DELETE FROM events WHERE series_id = ? AND (timestamp, sequence) < (?, ?)",
  selectFirst: "SELECT min(timestamp) AS first FROM events WHERE series_id = ?",
  updateSeries: "UPDATE series SET first_timestamp = ?, count = count - ? WHERE id = ?",
  deleteSeries: "DELETE FROM series WHERE id = ?"
} as const

/** Finds and deletes the oldest events. */
const makeRemover = (db: DatabaseSync, batch: number) => {
  const selectOldest = db.prepare(statements.selectOldest)
  const selectEnd = db.prepare(statements.selectEnd)
  const deleteEvents = db.prepare(statements.deleteEvents)
  const selectFirst = db.prepare(statements.selectFirst)
  const updateSeries = db.prepare(statements.updateSeries)
  const deleteSeries = db.prepare(statements.deleteSeries)

  return {
    /** The series with the oldest event, up to when its events have to go, and why. */
    bound: ({ keepFrom, maxBytes, now }: Policy, usedBytes: number) => {
      const oldest = selectOldest.get() as { readonly id: number; readonly first: number } | undefined
      if (oldest === undefined) return undefined
      const { first, id } = oldest
      if (first < keepFrom) return { series: id, until: keepFrom, reason: "aged" as const }
      if (usedBytes <= maxBytes) return undefined
      return { series: id, until: first + Math.max(1, Math.ceil((now - first) / slices)), reason: "crowded" as const }
    },
    /** Deletes the first events of a series, those before a time, at most a batch of them, and the series if they were all. */
    deleteBatch: (series: number, until: number): number => {
      const end = selectEnd.get(series, until, batch) as { timestamp: number; sequence: number } | undefined
      // Sequences begin with 1.
      const { changes } = deleteEvents.run(series, end?.timestamp ?? until, end?.sequence ?? 0)
      const { first } = selectFirst.get(series) as { readonly first: number | null }
      if (first === null) deleteSeries.run(series)
      else updateSeries.run(first, changes, series)
      return Number(changes)
    }
  }
}

/** Into how many parts the time is cut that the events span, where the oldest part goes first. */
const slices = 100
