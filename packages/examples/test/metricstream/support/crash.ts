/**
 * Preloaded (`node --import`) into a MetricStream whose storage worker is to end: when the file that `CRASH_FILE` names is there, its thread
 * ends at the next commit and removes the file. The file says whether that is `before` the commit or `after` it.
 */
import { readFileSync, rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { isMainThread } from "node:worker_threads"

const file = process.env["CRASH_FILE"]

const takeOrder = (): string | undefined => {
  try {
    const order = readFileSync(file!, "utf8").trim()
    if (order !== "") rmSync(file!)
    return order
  } catch {
    return undefined
  }
}

if (!isMainThread && file !== undefined) {
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (sql) {
    const order = sql === "COMMIT" ? takeOrder() : undefined
    // In a worker this ends its thread, not the process.
    if (order === "before") process.exit(7)
    exec.call(this, sql)
    if (order === "after") process.exit(7)
  }
}
