import { MethodNotAllowed } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { RawClient } from "@spillway/http/testing"
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { METHODS } from "node:http"
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
  it("takes routes of different errors and requirements together", () => {
    const mixed = [
      HttpRouter.route("GET", "/a", Effect.fail("no" as const)),
      HttpRouter.route("POST", "/a", Effect.fail(1 as const)),
      HttpRouter.route("TRACE", "/a", ok)
    ] as const
    const methods = MethodNotAllowed.routes(mixed).map(({ method }) => method as string)
    assert.includeMembers(methods, ["PUT", "PROPFIND", "OPTIONS"])
    for (const own of ["GET", "HEAD", "POST", "TRACE", "CONNECT"]) assert.notInclude(methods, own)
  })

  it.live("answers each method that node parses", () =>
    Effect.gen(function* () {
      const server = yield* start(router(HttpRouter.addAll([...routes, ...MethodNotAllowed.routes(routes)])))
      for (const method of METHODS) {
        if (["GET", "HEAD", "POST", "OPTIONS", "CONNECT"].includes(method)) continue
        const head = `${method} /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
        const { received } = yield* RawClient.exchange(server, head, { timeoutMillis: 5000 })
        assert.strictEqual(received.slice(0, 12), "HTTP/1.1 405", method)
        assert.include(received.toLowerCase(), "allow: get, head, post, options\r\n", method)
      }
    })
  )

  const cases: ReadonlyArray<readonly [string, string, number, string | null]> = [
    ["GET", "/events", 200, null],
    ["HEAD", "/events", 200, null],
    ["POST", "/events", 200, null],
    ["DELETE", "/events", 405, "GET, HEAD, POST, OPTIONS"],
    ["OPTIONS", "/events", 204, "GET, HEAD, POST, OPTIONS"],
    ["PROPFIND", "/events", 405, "GET, HEAD, POST, OPTIONS"],
    ["PROPFIND", "/series/cpu", 405, "GET, HEAD, OPTIONS"],
    ["PROPFIND", "/nowhere", 404, null],
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
