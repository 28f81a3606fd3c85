/** Measures the files of a database, and keeps them small: plain blocking functions, run by the storage worker. */
import { statSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import { describeFailure, diskFull } from "./failures.ts"
import { INCREMENTAL, pragma } from "./schema.ts"
import { busyTimeout } from "./transaction.ts"

/** How large the files are. */
export interface Sizes {
  /** Bytes of the database that hold something, and those that are free to be used again; together they are the file. */
  readonly usedBytes: number
  readonly freeBytes: number
  /** Bytes of the write-ahead log. */
  readonly walBytes: number
}

export interface Limits {
  /** Free pages that are kept for the events to come while the file is within its size, as a share of those in use; and at least so many. */
  readonly slack: { readonly share: number; readonly pages: number }
  /**
   * From how many bytes on the write-ahead log is emptied although readers have to be waited for; for how many milliseconds, and how
   * long after an attempt that failed the next one is made.
   */
  readonly wal: { readonly bytes: number; readonly wait: number; readonly pause: number }
}

export const defaults: Limits = {
  slack: { share: 0.25, pages: 1024 },
  wal: { bytes: 2 ** 26, wait: 200, pause: 10_000 }
}

/** Makes the space of a database that has its tables. */
export const makeSpace = (db: DatabaseSync, { slack, wal }: Limits) => {
  const pages = countPages(db)
  const log = makeLog(db, wal)
  const canShrink = pragma(db, "auto_vacuum") === INCREMENTAL
  const usedBytes = () => (pages.all() - pages.free()) * pages.size

  /** How many free pages the file is to give back: those that the events to come do not need, and those beyond its size. */
  const spare = (maxFileBytes: number) => {
    if (!canShrink) return 0
    const [all, free] = [pages.all(), pages.free()]
    const unneeded = free - Math.max(slack.pages, (all - free) * slack.share)
    const beyond = Math.min(free, all - maxFileBytes / pages.size)
    return Math.max(0, Math.floor(unneeded), Math.ceil(beyond))
  }

  return {
    sizes: (): Sizes => ({ usedBytes: usedBytes(), freeBytes: pages.free() * pages.size, walBytes: log.bytes() }),
    usedBytes,
    spare,
    /**
     * Gives some pages back. Others are moved into their places, which is written to the log and synced: most of the time goes there. It is
     * `exec` that runs this to its end: each step of a statement frees one page.
     */
    shrink: (maxFileBytes: number) => db.exec(`PRAGMA incremental_vacuum(${Math.min(spare(maxFileBytes), 64)})`),
    emptyLog: log.empty
  }
}

/** The pages of a database: how many bytes one has, and how many there are now. */
const countPages = (db: DatabaseSync) => {
  const [all, free] = [db.prepare("PRAGMA page_count"), db.prepare("PRAGMA freelist_count")]
  return {
    size: pragma(db, "page_size"),
    all: () => (all.get() as { readonly page_count: number }).page_count,
    free: () => (free.get() as { readonly freelist_count: number }).freelist_count
  }
}

/** The write-ahead log of a database. */
const makeLog = (db: DatabaseSync, wal: Limits["wal"]) => {
  const path = `${db.location() ?? ""}-wal`
  const bytes = () => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  let nextAttempt = 0

  return {
    bytes,
    /**
     * Empties the write-ahead log if it has become long. SQLite begins it anew by itself when all of it is in the database and nobody
     * reads from it; readers that always overlap keep it from that. Here they are waited for: those who come then find everything in the
     * database, and do not matter.
     */
    empty: () => {
      const now = performance.now()
      if (now < nextAttempt || bytes() <= wal.bytes) return
      db.exec(`PRAGMA busy_timeout = ${wal.wait}`)
      try {
        db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      } catch (error) {
        // The database file cannot grow. It is tried again; what is deleted until then may change that.
        if (describeFailure(error) !== diskFull) throw error
      } finally {
        db.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
        if (bytes() > wal.bytes) nextAttempt = performance.now() + wal.pause
      }
    }
  }
}
