/** The entry of the loops in the tests. A variable of the environment sets options of the server and what goes wrong. */
import { HealthRoutes, MultiLoop, Server } from "@spillway/http"
import { Effect, Latch, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { execSync } from "node:child_process"
import { threadId } from "node:worker_threads"
import { layer as threads, Threads } from "./offload.ts"
import { pattern } from "./pattern.ts"

const parameters = new URLSearchParams(process.env["MULTILOOP_TEST"])
const number = (name: string, fallback: number) => Number(parameters.get(name) ?? fallback)
console.error("the entry is loaded")
if (parameters.get("fails") === "spawn") process.execPath = "/nowhere/node"
if (parameters.get("fails") === "entry") throw new TypeError("no luck with the entry")

const release = Latch.makeUnsafe(false)
const query = (name: string) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => new URL(url, "http://a").searchParams.get(name) ?? "")

const who = Effect.map(MultiLoop.currentLoop, (loop) => HttpServerResponse.jsonUnsafe({ ...loop, threadId }))
const bytes = Effect.map(query("seed"), (seed) => HttpServerResponse.uint8Array(pattern(Number(seed))))
const held = Effect.andThen(release.await, who)
const released = Effect.andThen(Effect.andThen(release.open, release.close), who)
const throwSoon = () => {
  throw new Error("nobody catches this")
}
const crash = Effect.map(query("how"), (how) => {
  setImmediate(how === "exit" ? () => process.exit(7) : throwSoon)
  return HttpServerResponse.empty()
})
const block = Effect.andThen(
  Effect.sync(() => {
    for (;;);
  }),
  who
)

// Native code, which nobody can interrupt. It ends by itself if the process is still there.
const native = Effect.andThen(
  Effect.sync(() => execSync("sleep 20")),
  who
)

const slow = Effect.andThen(
  Effect.flatMap(query("millis"), (millis) => Effect.sleep(Number(millis))),
  who
)
const offloaded = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const tasks = yield* Threads
    const loop = yield* MultiLoop.currentLoop
    const handler = Effect.map(Effect.orDie(tasks.thread()), (thread) =>
      HttpServerResponse.jsonUnsafe({ thread, loop: loop?.loop })
    )
    yield* router.add("GET", "/offload", handler)
  })
)

const routes = Layer.mergeAll(
  // Other layers take time while the server is there already.
  Layer.effectDiscard(Effect.sleep(number("layerDelay", 0))),
  HealthRoutes.layerNoChecks,
  HttpRouter.add("GET", "/", who),
  HttpRouter.add("GET", "/bytes", bytes),
  HttpRouter.add("GET", "/held", held),
  HttpRouter.add("GET", "/slow", slow),
  HttpRouter.add("GET", "/control/release", released),
  HttpRouter.add("GET", "/control/crash", crash),
  HttpRouter.add("GET", "/control/block", block),
  HttpRouter.add("GET", "/control/native", native)
)

// Only where it is asked for: its threads take a while to start.
const withOffload = parameters.has("offload") ? Layer.merge(routes, Layer.provide(offloaded, threads)) : routes

const server = Server.layer({
  port: number("port", 0),
  inherit: parameters.has("inherit"),
  maxConcurrent: number("maxConcurrent", 1024),
  maxQueued: number("maxQueued", 1024),
  maxQueueWait: "20 seconds",
  // However slow the machine is: what is refused for that says nothing about loops.
  queueTarget: Infinity,
  drainTimeout: number("drainTimeout", 5000),
  exempt: ({ url }) => url!.startsWith("/control/") || ["/livez", "/readyz", "/metrics"].includes(url!)
})

const failures: Readonly<Record<string, Effect.Effect<void, Error>>> = {
  layer: Effect.fail(new RangeError("no luck with the layer", { cause: new Error("the moon is full") })),
  later: Effect.flatMap(MultiLoop.currentLoop, (loop) =>
    loop?.generation === 1 ? Effect.void : Effect.fail(new Error("no luck this time"))
  )
}
const failure = failures[parameters.get("fails") ?? ""] ?? Effect.void
const stuck = parameters.has("stuck") ? Effect.never : Effect.void
const app = HttpRouter.serve(withOffload, { disableLogger: true, disableListenLog: true }).pipe(Layer.provide(server))

MultiLoop.serve(Layer.mergeAll(app, Layer.effectDiscard(Effect.andThen(failure, stuck))))
