/** A thread that serves one connection, and ends with it. */
import { enableCompileCache } from "node:module"
import { workerData } from "node:worker_threads"
import type { MessagePort } from "node:worker_threads"
import type { Serving } from "./connections/servingThread.ts"

/** What the thread is started with. */
export interface Start extends Serving {
  readonly port: MessagePort
}

const { port, ...serving } = workerData as Start

// Most of what a new thread costs is to load the same modules once more. Node keeps what it compiled of them, if it is asked to before.
enableCompileCache()
const Effect = await import("effect/Effect")
const ServingThread = await import("./connections/servingThread.ts")

Effect.runFork(Effect.scoped(Effect.flatMap(ServingThread.make(serving), (serve) => serve(port))))
