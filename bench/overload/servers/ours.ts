import * as Priority from "@spillway/http/Priority"
import * as Server from "@spillway/http/Server"
import type * as ServerOptions from "@spillway/http/ServerOptions"
import * as Offload from "@spillway/runtime/Offload"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { Tasks } from "../contract.ts"
import { routes } from "./routes.ts"

class TasksOffload extends Offload.Service<TasksOffload>()("bench/Overload", Tasks) {}

const worker = new URL("../workers/ours.worker.ts", import.meta.url)
const offload = TasksOffload.layerThreads({ worker, workers: 1 })

/** What every scenario starts with: the defaults, and the header by which its clients say how urgent they are. */
const options: ServerOptions.Options = { port: 0, priority: Priority.first([Priority.byHeader("x-priority")]) }

/** `changed`: the options in which a scenario differs, as JSON. */
export const run = (changed = "{}"): void => {
  const server = Server.layer({ ...options, ...(JSON.parse(changed) as Partial<ServerOptions.Options>) })
  const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
  const app = Layer.unwrap(
    Effect.map(TasksOffload, ({ burn }) =>
      HttpRouter.serve(
        routes((millis) => burn({ millis })),
        { disableLogger: true, disableListenLog: true }
      )
    )
  )
  Layer.mergeAll(app, announce).pipe(Layer.provide(offload), Layer.provide(server), Layer.launch, Main.run)
}
