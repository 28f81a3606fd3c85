/** Routes that show the packages at work: what a server for production bounds, and how each bound answers. */
import * as JsonBody from "@spillway/http/JsonBody"
import * as Problem from "@spillway/http/Problem"
import * as Bulkhead from "@spillway/runtime/Bulkhead"
import * as Deadline from "@spillway/runtime/Deadline"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CpuOffload, modes } from "./cpu.ts"
import { integer, milliseconds, oneOf } from "./parameters.ts"
import { burned } from "./shared.ts"

/** `/cpu`, on a thread that computes: the event loop goes on meanwhile. */
export const burnElsewhere = Effect.gen(function* () {
  const cpu = yield* CpuOffload
  const millis = yield* milliseconds(50)
  const mode = yield* oneOf("mode", modes)
  yield* Deadline.within(cpu.burn({ millis, mode }), "1 second")
  return burned(millis)
})

/** A dependency that takes 50 requests at once, and lets none wait. */
const dependency = Bulkhead.make({ name: "work", maxConcurrent: 50, maxQueued: 0 })

const work = Effect.gen(function* () {
  const millis = yield* milliseconds(100)
  yield* dependency.withPermit(Effect.sleep(Duration.millis(millis)))
  return HttpServerResponse.text(`Worked ${millis} ms`)
})

const deadline = Effect.gen(function* () {
  const millis = yield* milliseconds(5000)
  yield* Deadline.within(Effect.sleep(Duration.millis(millis)), "500 millis")
  return HttpServerResponse.text(`Waited ${millis} ms`)
})

const mebibyte = new Uint8Array(1024 ** 2).fill("x".charCodeAt(0))

/** As fast as the client reads: a piece is made when the one before it is on its way. */
const big = Effect.map(integer("mb", { min: 1, max: 1024, default: 8 }), (count) =>
  HttpServerResponse.stream(Stream.take(Stream.forever(Stream.succeed(mebibyte)), count), {
    contentType: "text/plain",
    contentLength: count * mebibyte.length
  })
)

const postJson = Effect.as(JsonBody.decode(Schema.Json), HttpServerResponse.jsonUnsafe({ ok: true }))

/** What a request that is no handshake gets. */
const upgradeRequired = Problem.make({
  status: 426,
  detail: "this route speaks WebSocket",
  headers: { upgrade: "websocket", connection: "upgrade" }
})

/** Says what it hears. The next messages are read when the last ones have been taken. */
const webSocket = Effect.gen(function* () {
  const request = yield* HttpServerRequest
  if (request.headers["upgrade"]?.toLowerCase() !== "websocket") return yield* upgradeRequired
  const socket = yield* request.upgrade
  const { pull } = yield* socket.reader
  const { writeAll } = yield* socket.writer
  return yield* Effect.forever(Effect.flatMap(pull, writeAll))
})

/** The routes beside those of every architecture. */
export const production = [
  HttpRouter.route("GET", "/work", work),
  HttpRouter.route("GET", "/deadline", deadline),
  HttpRouter.route("GET", "/big", big),
  HttpRouter.route("POST", "/json", postJson),
  HttpRouter.route("GET", "/ws", webSocket)
]
