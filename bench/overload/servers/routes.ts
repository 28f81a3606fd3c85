/** The routes of both Effect servers. Only the pool behind `/cpu?offload` is each one's own. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { ask } from "../dependency.ts"
import { burn } from "../work.ts"

const answer = HttpServerResponse.text
const busy = answer("busy", { status: 503, headers: { "retry-after": "1" } })

export const routes = (offload: (millis: number) => Effect.Effect<number, unknown>) => {
  const cpu = Effect.gen(function* () {
    const { after, ms, offload: elsewhere } = yield* HttpServerRequest.ParsedSearchParams
    if (after !== undefined) yield* Effect.sleep(Number(after))
    return answer(String(elsewhere === undefined ? burn(Number(ms)) : yield* offload(Number(ms))))
  })
  const sleep = Effect.flatMap(HttpServerRequest.ParsedSearchParams, ({ ms, unbounded }) =>
    Effect.callback<HttpServerResponse.HttpServerResponse>((resume) => {
      const leave = ask(Number(ms), () => resume(Effect.succeed(answer("slept"))), unbounded !== undefined)
      if (leave === undefined) return void resume(Effect.succeed(busy))
      return Effect.sync(leave)
    })
  )
  // Reads the body that it is sent.
  const hello = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* request.text
    return answer("Hello!")
  })
  return Layer.mergeAll(
    HttpRouter.add("GET", "/hello", answer("Hello!")),
    HttpRouter.add("POST", "/hello", hello),
    HttpRouter.add("GET", "/fast", answer("fast")),
    HttpRouter.add("GET", "/sleep", sleep),
    HttpRouter.add("GET", "/cpu", cpu)
  )
}
