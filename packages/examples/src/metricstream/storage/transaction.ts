import type { DatabaseSync } from "node:sqlite"

/** How long a transaction waits for another process's lock on the database, in milliseconds. */
export const busyTimeout = 1000

/** Runs `body` as one transaction that holds the lock for writing from its beginning: all of it, or nothing if it throws. */
export const transaction = <A>(db: DatabaseSync, body: () => A): A => {
  db.exec("BEGIN IMMEDIATE")
  try {
    const result = body()
    db.exec("COMMIT")
    return result
  } catch (error) {
    // Some failures, such as a full disk, have rolled it back already.
    if (db.isTransaction) db.exec("ROLLBACK")
    throw error
  }
}
