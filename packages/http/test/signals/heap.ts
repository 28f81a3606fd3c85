/** A server in a process with a small heap, which fills it, and empties it again, when it is asked to. */
import { Priority, Server } from "@spillway/http"
import { Main } from "@spillway/runtime"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { getHeapStatistics } from "node:v8"

const kept: Array<Array<number>> = []

const used = () => {
  const { heap_size_limit, used_heap_size } = getHeapStatistics()
  return used_heap_size / heap_size_limit
}

const fill = Effect.sync(() => {
  // Between what the signal begins to refuse at and what ends the process.
  while (used() < 0.9) kept.push(Array.from({ length: 1000 }, (_, i) => i + Math.random()))
  return HttpServerResponse.empty()
})

const empty = Effect.sync(() => {
  kept.length = 0
  globalThis.gc!()
  return HttpServerResponse.empty()
})

const routes = Layer.mergeAll(
  HttpRouter.add("POST", "/fill", fill),
  HttpRouter.add("POST", "/empty", empty),
  HttpRouter.add("GET", "/", HttpServerResponse.text("ok"))
)

const priority = Priority.first([
  Priority.byRoute({ "POST /fill": "critical", "POST /empty": "critical", "GET /": "sheddable" })
])

Main.run(
  Layer.launch(HttpRouter.serve(routes).pipe(Layer.provide(Server.layer({ port: 0, priority, signals: ["heap"] }))))
)
