import * as Priority from "@spillway/http/Priority"
import * as Server from "@spillway/http/Server"
import type * as ServerOptions from "@spillway/http/ServerOptions"
import * as Offload from "@spillway/runtime/Offload"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer, Metric } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { Tasks } from "../contract.ts"
import { routes } from "./routes.ts"

class TasksOffload extends Offload.Service<TasksOffload>()("bench/Overload", Tasks) {}

/** The options in which a scenario differs. */
export interface Changed {
  readonly server?: Partial<ServerOptions.Options>
  readonly offload?: Partial<Offload.Options>
}

const worker = new URL("../workers/ours.worker.ts", import.meta.url)

/** What every scenario starts with: the defaults, those of `Offload` too, and the header by which its clients say how urgent they are. */
const options: ServerOptions.Options = { port: 0, priority: Priority.first([Priority.byHeader("x-priority")]) }

/** Counters that are not 0, by name and attributes: where requests were refused and why, and what became of tasks and threads. */
const readCounters = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state, type }) =>
      type === "Counter" && Number(state.count) > 0
        ? [[[id, ...Object.values(attributes ?? {})].join(" "), Number(state.count)]]
        : []
    )
  )
)

/** Whoever started the server may ask for them: `ServerProcess.ask`. */
const tellCounters = Effect.sync(() => {
  process.on("message", () => process.send?.(Effect.runSync(readCounters)))
  // Nobody waits for questions: the server ends when it is told to.
  process.channel?.unref()
})

/** `changed`: as JSON. */
export const run = (changed = "{}"): void => {
  const { offload, server } = JSON.parse(changed) as Changed
  const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
  const app = Layer.unwrap(
    Effect.map(TasksOffload, ({ burn }) =>
      HttpRouter.serve(
        routes((millis) => burn({ millis })),
        { disableLogger: true, disableListenLog: true }
      )
    )
  )
  Layer.mergeAll(app, announce, Layer.effectDiscard(tellCounters)).pipe(
    Layer.provide(TasksOffload.layerThreads({ worker, workers: 1, ...offload })),
    Layer.provide(Server.layer({ ...options, ...server })),
    Layer.launch,
    Main.run
  )
}
