/** Loaded before all else in every thread of a process: a loop that starts while the file is there removes it and fails. */
import { existsSync, rmSync } from "node:fs"
import { isMainThread, threadName } from "node:worker_threads"

const file = process.env["NEXT_START_FAILS"]!

if (!isMainThread && threadName?.startsWith("loop") === true && existsSync(file)) {
  rmSync(file)
  throw new Error("this loop does not start, as it was told to")
}
