/**
 * Runs a program as the main program of a process that is started, stopped and restarted by others: a terminal, npm, systemd,
 * Kubernetes.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"

/**
 * The exit codes of `run`.
 *
 * **Details**
 *
 * - `success`: the program ended, or a signal stopped it and it drained.
 * - `failure`: the program failed, at its start or later.
 * - `forced`: a further signal ended it before it had drained (128 + SIGINT, the custom of shells).
 *
 * @category constants
 * @since 0.1.0
 */
export const exitCodes = { success: 0, failure: 1, forced: 130 } as const

/** Sooner than this after the first one, a signal is the same Ctrl-C arriving again: from the terminal, and from npm. */
const forceAfterMillis = 1000

/**
 * Runs an effect as the main program, typically `Layer.launch(app)`.
 *
 * **Details**
 *
 * The first SIGINT or SIGTERM interrupts the effect, so that its scopes close and servers drain; the process then exits with 0, where
 * `NodeRuntime.runMain` exits with 130. A further signal at least 1 s later ends the process at once with 130. A failure is logged
 * and exits with 1, or with the code that the error names (`Runtime.errorExitCode`).
 *
 * SIGHUP, which a terminal sends when it is closed, stops the program in the same way unless something else listens for it
 * (`MultiLoop` restarts its loops).
 *
 * **Gotchas**
 *
 * A signal that comes while the program's modules are still being loaded ends the process as the system does: nothing has been begun
 * that would have to be ended. Supervisors take SIGTERM for a clean end.
 *
 * **Example** (A server)
 *
 * ```ts
 * Layer.launch(app).pipe(Main.run)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run: <A, E>(effect: Effect.Effect<A, E>) => void = Runtime.makeRunMain(({ fiber }) => {
  let firstSignalAt: bigint | undefined

  const onSignal = () => {
    const now = process.hrtime.bigint()
    if (firstSignalAt === undefined) {
      firstSignalAt = now
      fiber.interruptUnsafe(fiber.id)
    } else if (now - firstSignalAt >= BigInt(forceAfterMillis) * 1_000_000n) {
      process.exit(exitCodes.forced)
    }
  }

  // Left to the system it would end the process at once. Node takes it away from `nohup` in any case.
  const onHangup = () => {
    if (process.listenerCount("SIGHUP") === 1) onSignal()
  }

  fiber.addObserver((exit) => {
    process.off("SIGINT", onSignal)
    process.off("SIGTERM", onSignal)
    process.off("SIGHUP", onHangup)
    const stopped = firstSignalAt !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    if (stopped) return process.exit(exitCodes.success)
    Runtime.defaultTeardown(exit, (code) => {
      if (code !== 0) process.exit(code)
    })
  })

  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  process.on("SIGHUP", onHangup)
})
