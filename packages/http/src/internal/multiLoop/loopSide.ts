/** What runs in the thread of a loop. */
import { layerLink } from "@spillway/runtime/OffloadHost"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { workerData } from "node:worker_threads"
import { CurrentLink, Link } from "./link.ts"
import { beatMillis, toFaultData, workerDataKey } from "./protocol.ts"
import type { Boot } from "./protocol.ts"

/** What the supervisor gave to this thread, `undefined` when it has none. */
export const bootOf = (): Boot | undefined =>
  (workerData as { readonly [workerDataKey]?: Boot } | null)?.[workerDataKey] ?? undefined

/** Runs a layer until the supervisor closes this loop or the layer fails; then the thread ends. */
export const run = <E>(layer: Layer.Layer<never, E>, boot: Boot): void => {
  let closed = false
  const link = new Link(boot, Context.empty(), () => {
    closed = true
    program.interruptUnsafe()
  })
  const program = Layer.build(Layer.provide(layer, layerLink(boot.offload))).pipe(
    Effect.andThen(Effect.sync(() => link.tell({ type: "ready" }))),
    Effect.andThen(Effect.never),
    Effect.scoped,
    Effect.provideService(CurrentLink, link),
    Effect.annotateLogs("loop", boot.loop),
    Effect.runFork
  )
  // Goes on while the program closes its scopes; the end of the thread ends it.
  Effect.runFork(
    Effect.forever(
      Effect.andThen(
        Effect.sync(() => link.beat()),
        Effect.sleep(beatMillis)
      )
    )
  )
  program.addObserver((exit) => {
    if (closed && (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause))) return process.exit(0)
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : new Error("the layer ended")
    link.tell({ type: "failed", fault: toFaultData(error) })
    process.exit(1)
  })
}
