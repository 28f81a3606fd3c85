import { MethodNotAllowed } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, start } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")
const routes = [
  HttpRouter.route("GET", "/events", ok),
  HttpRouter.route("POST", "/events", ok),
  HttpRouter.route("POST", "/only", ok),
  HttpRouter.route("GET", "/series/:name", ok),
  HttpRouter.route("*", "/all", ok),
  HttpRouter.route("OPTIONS", "/own", HttpServerResponse.text("own"))
]

describe("MethodNotAllowed", () => {
  const cases: ReadonlyArray<readonly [string, string, number, string | null]> = [
    ["GET", "/events", 200, null],
    ["HEAD", "/events", 200, null],
    ["POST", "/events", 200, null],
    ["DELETE", "/events", 405, "GET, HEAD, POST, OPTIONS"],
    ["OPTIONS", "/events", 204, "GET, HEAD, POST, OPTIONS"],
    ["GET", "/only", 405, "POST, OPTIONS"],
    ["HEAD", "/only", 405, "POST, OPTIONS"],
    ["PUT", "/series/cpu", 405, "GET, HEAD, OPTIONS"],
    ["PUT", "/all", 200, null],
    ["OPTIONS", "/own", 200, null],
    ["PUT", "/nowhere", 404, null]
  ]
  for (const [method, path, status, allow] of cases) {
    it.live(`answers ${method} ${path} with ${status}`, () =>
      Effect.gen(function* () {
        const server = yield* start(router(HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)])))
        const answer = yield* get(server.url(path), { method })
        assert.deepStrictEqual([answer.status, answer.headers.get("allow")], [status, allow])
        if (status === 405 && method !== "HEAD") assert.strictEqual(JSON.parse(answer.body).title, "Method Not Allowed")
      })
    )
  }
})
