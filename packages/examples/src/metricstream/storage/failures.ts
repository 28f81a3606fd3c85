/** What SQLite can fail with for no fault of ours, in words. */
import { DiskFull } from "./disk.ts"

/** An error that `node:sqlite` throws. */
interface SqliteError extends Error {
  readonly code: "ERR_SQLITE_ERROR"
  /** SQLite's extended result code, whose low byte is the primary one. */
  readonly errcode: number
}

const isSqliteError = (error: unknown): error is SqliteError =>
  error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR"

/** What is told of a disk without room. */
export const diskFull = "the disk is full"

/** Primary result codes of what is wrong with the database's surroundings or its file, not with us: sqlite.org/rescode.html. */
const failures: ReadonlyMap<number, string> = new Map([
  [5, "the database is locked by another process"],
  [6, "a table of the database is locked"],
  [8, "the database is read-only"],
  [10, "the disk failed"],
  [11, "the database is damaged"],
  [13, diskFull],
  [14, "a file of the database cannot be opened"],
  [15, "the database's locks are in disorder"],
  [26, "the file is not a database"]
])

/** What to tell about a failure of the database's surroundings, and `undefined` for any other error: that is a bug. */
export const describeFailure = (error: unknown): string | undefined => {
  if (error instanceof DiskFull) return diskFull
  return isSqliteError(error) ? failures.get(error.errcode & 0xff) : undefined
}
