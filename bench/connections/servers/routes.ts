/** The routes of both Effect servers; only how a JSON body is decoded differs. */
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { chunk, chunks, wholeResponse } from "../settings.ts"

export const Payload = Schema.Struct({ text: Schema.String })

const ok = HttpServerResponse.text("ok")
const postText = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  yield* request.text
  return ok
})
const getShared = HttpServerResponse.uint8Array(wholeResponse())
// One at a time: by itself `Stream.range` gives all its numbers at once, and `map` would make all chunks before the first is written.
const getFresh = Effect.sync(() => HttpServerResponse.stream(Stream.map(Stream.range(0, chunks - 1, 1), chunk)))

export const routes = <E>(decode: Effect.Effect<unknown, E, HttpServerRequest.HttpServerRequest>) =>
  Layer.mergeAll(
    HttpRouter.add("GET", "/", ok),
    HttpRouter.add("POST", "/json", Effect.as(decode, ok)),
    HttpRouter.add("POST", "/text", postText),
    HttpRouter.add("GET", "/shared", getShared),
    HttpRouter.add("GET", "/fresh", getFresh)
  )
