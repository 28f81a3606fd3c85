/** What the supervisor has to do with the process: SIGHUP, and how it ends. */
import { exitCodes } from "@spillway/runtime/Main"
import * as Effect from "effect/Effect"
import type { Supervisor } from "./supervisor.ts"

/**
 * Listens for SIGHUP. To be acquired before the loops: while they start, and while they drain, `Main` would take it for a stop signal if
 * nobody listened. One that comes before `begin` is kept until then.
 */
export const hangups = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      let kept = false
      let act = () => {
        kept = true
      }
      const listener = () => act()
      process.on("SIGHUP", listener)
      const begin = (restart: () => void) => {
        act = restart
        if (kept) restart()
      }
      return { listener, begin }
    }),
    ({ listener }) => Effect.sync(() => process.off("SIGHUP", listener))
  ),
  ({ begin }) => begin
)

/**
 * The end of a process waits for its threads, so one that is in native code for long would hold it up: the last resort. Other finalizers
 * come first.
 */
export const endStrays = ({ strays }: Supervisor): Effect.Effect<void> => {
  if (strays.size === 0) return Effect.void
  process.once("exit", () => {
    if (strays.size > 0) process.kill(process.pid, "SIGKILL")
  })
  return Effect.logError(
    "the process will kill itself: threads of loops are in native code, which can not be terminated"
  )
}

/** A program that was interrupted because it can not go on has failed: nobody forced it. */
export const failsInstead = (exitCode: number): void => {
  if (exitCode === exitCodes.forced) process.exitCode = exitCodes.failure
}
