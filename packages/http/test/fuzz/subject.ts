/**
 * The servers under test, in a process of their own: `node subject.ts spillway`, or `lenient` for one that the fuzz test must find
 * fault with. Both answer every request with what they took it for: its method and target on a line, then its body.
 */
import type { IncomingMessage } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { HealthRoutes, JsonBody, Server } from "@spillway/http"
import { Effect, Layer, Logger, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"

/** What the process holds, in MiB and in numbers of connections and requests. */
export interface Held {
  readonly heap: number
  readonly resident: number
  readonly connections: number
  readonly requests: number
}

/** What the process tells: where it listens, and what it holds each time it is asked. */
export type Told = { readonly _tag: "Listens"; readonly port: number } | ({ readonly _tag: "Holds" } & Held)

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

const memory = (): Pick<Held, "heap" | "resident"> => {
  // Finalizers run between two collections, and what they held goes with the next.
  for (let i = 0; i < 4; i++) collectGarbage()
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20 }
}

const tell = (told: Told): void => void process.send?.(told)

const taken = (method: string, target: string, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${method} ${target}\n`, "latin1"), body])

const answer = (request: HttpServerRequest.HttpServerRequest, body: ArrayBuffer | string) =>
  HttpServerResponse.uint8Array(
    taken(
      request.method,
      (request.source as IncomingMessage).url!,
      typeof body === "string" ? Buffer.from(body) : new Uint8Array(body)
    )
  )

const echo = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  return answer(request, yield* request.arrayBuffer)
})

const json = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  return answer(request, JSON.stringify(yield* JsonBody.decode(Schema.Json)))
})

const webSocket = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const read = yield* Socket.readerString(yield* request.upgrade)
  yield* Effect.forever(read)
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const routes = Layer.mergeAll(
  HealthRoutes.layerNoChecks,
  HttpRouter.add("*", "/*", echo),
  HttpRouter.add("POST", "/json", json),
  HttpRouter.add("*", "/locked", HttpServerResponse.empty({ status: 401 })),
  HttpRouter.add("GET", "/ws", webSocket)
)

/** No limit of time ends a connection before the test says that it hangs, and nobody is refused since the machine is busy. */
const patient = {
  requestDeadline: "1 minute",
  bodyTimeout: "1 minute",
  rateGrace: "1 minute",
  maxQueueWait: "1 minute",
  queueTarget: Infinity
} as const

const spillway = Effect.gen(function* () {
  const { address } = yield* HttpServer.HttpServer
  const { stats } = yield* Server.ServerStatus
  if (address._tag !== "InetAddressV4") return yield* Effect.die("no IPv4 address")
  process.on("message", () => {
    const { connections, queued, resuming, running } = Effect.runSync(stats)
    const open = Object.values(connections).reduce((sum, count) => sum + count, 0)
    tell({ _tag: "Holds", ...memory(), connections: open, requests: running + queued + resuming })
  })
  tell({ _tag: "Listens", port: address.port })
  return yield* Effect.never
}).pipe(
  Effect.provide(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(Server.layer({ port: 0, ...patient })),
      // A handler that dies is found by its status.
      Layer.provide(Logger.layer([]))
    )
  )
)

/** A server whose parser is told to forgive. */
const lenient = (): void => {
  const server = createServer({ insecureHTTPParser: true, requireHostHeader: false }, (request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => response.end(taken(request.method!, request.url!, Buffer.concat(chunks))))
  })
  server.listen(0, "127.0.0.1", () => tell({ _tag: "Listens", port: (server.address() as AddressInfo).port }))
  process.on("message", () => tell({ _tag: "Holds", ...memory(), connections: 0, requests: 0 }))
}

process.on("disconnect", () => process.exit(0))
if (process.argv[2] === "lenient") lenient()
else Effect.runFork(spillway)
