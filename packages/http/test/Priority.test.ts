import { Priority } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { IncomingMessage } from "node:http"

const request = (method: string, url: string, headers: Record<string, string> = {}) =>
  ({ method, url, headers }) as unknown as IncomingMessage

describe("Priority", () => {
  it("reads a header, in any case of its name, and takes no value that it does not know", () => {
    const rule = Priority.byHeader("X-Priority")
    const read = (value: string) => rule(request("GET", "/", { "x-priority": value }))
    assert.deepStrictEqual(["critical", "normal", "sheddable", "urgent", "__proto__", ""].map(read), [
      "critical",
      "normal",
      "sheddable",
      undefined,
      undefined,
      undefined
    ])
    assert.isUndefined(rule(request("GET", "/")))
  })

  it("translates the values of a header", () => {
    const rule = Priority.byHeader("purpose", { prefetch: "sheddable" })
    const read = (purpose: string) => rule(request("GET", "/", { purpose }))
    assert.deepStrictEqual(["prefetch", "critical", "constructor"].map(read), ["sheddable", undefined, undefined])
  })

  it("knows routes by method and pattern, also with a query", () => {
    const rule = Priority.byRoute({ "POST /orders/:id": "critical", "/exports/*": "sheddable" })
    assert.deepStrictEqual(
      [
        rule(request("POST", "/orders/7?x=1")),
        rule(request("GET", "/orders/7")),
        rule(request("GET", "/exports/a/b")),
        rule(request("PURGE", "/exports/a")),
        rule(request("GET", "/%zz")),
        rule(request("OPTIONS", "*"))
      ],
      ["critical", undefined, "sheddable", "sheddable", undefined, undefined]
    )
  })

  it("takes a folder for what is in it, as the router does, unless there is a route for it", () => {
    const rule = Priority.byRoute({
      "/exports/*": "sheddable",
      "GET /files/*": "sheddable",
      "GET /files": "critical",
      "POST /orders/*": "critical",
      "/orders": "sheddable",
      "/:tenant/*": "normal"
    })
    const read = (line: string) => rule(request(...(line.split(" ") as [string, string])))
    for (const path of ["/exports", "/exports/", "/EXPORTS?x=1", "//exports", "/exports;x"]) {
      assert.deepStrictEqual(
        ["GET", "HEAD", "PURGE"].map((method) => read(`${method} ${path}`)),
        ["sheddable", "sheddable", "sheddable"]
      )
    }
    assert.deepStrictEqual(["GET /files", "GET /files/a", "POST /orders", "POST /orders/1", "GET /acme"].map(read), [
      "critical",
      "sheddable",
      "sheddable",
      "critical",
      "normal"
    ])
    assert.strictEqual(Priority.byRoute({ "/*": "sheddable" })(request("GET", "/")), "sheddable")
  })

  it.effect("goes by the route that answers, whatever the path", () =>
    Effect.gen(function* () {
      const priorities: Record<string, Priority.Priority> = {
        "/exports/*": "sheddable",
        "/exports/daily": "critical",
        "/files/:id": "critical",
        "/files/*": "sheddable",
        "/:tenant/exports": "normal"
      }
      const rule = Priority.byRoute(priorities)
      const routes = Object.entries(priorities).map(([path, priority]) =>
        HttpRouter.add("GET", path as `/${string}`, HttpServerResponse.text(priority))
      )
      const { dispose, handler } = HttpRouter.toWebHandler(Layer.mergeAll(...(routes as [(typeof routes)[0]])), {
        disableLogger: true
      })
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const parts = ["", "exports", "files", "daily", "a"]
      for (const first of parts) {
        for (const second of parts) {
          for (const end of ["", "/", "?x=/exports", ";a", "/b/c"]) {
            const url = `/${first}/${second}${end}`
            const response = yield* Effect.promise(() => handler(new Request(`http://localhost${url}`)))
            const answered = response.status === 200 ? yield* Effect.promise(() => response.text()) : undefined
            assert.strictEqual(rule(request("GET", url)), answered, url)
          }
        }
      }
    }).pipe(Effect.scoped)
  )

  it("takes HEAD for GET, unless it has a route of its own", () => {
    const rule = Priority.byRoute({
      "/exports/*": "sheddable",
      "GET /exports/list": "critical",
      "GET /orders/:id": "critical",
      "HEAD /orders/next": "sheddable",
      "POST /orders": "critical"
    })
    const head = (url: string) => rule(request("HEAD", url))
    assert.deepStrictEqual(["/exports/a", "/exports/list", "/orders/7", "/orders/next", "/orders"].map(head), [
      "sheddable",
      "critical",
      "critical",
      "sheddable",
      undefined
    ])
    assert.strictEqual(rule(request("GET", "/orders/next")), "critical")
  })

  it("refuses routes that a router does not take, and says which and why", () => {
    for (const [routes, route, why] of [
      [{ "/*/x": "normal" }, "/*/x", "Wildcard"],
      [{ "GET /:a?/b": "normal" }, "GET /:a?/b", "last parameter"],
      [{ "/x/:id": "normal", "GET /x/:name": "critical" }, "GET /x/:name", "already declared"],
      [{ "/:id((": "normal" }, "/:id((", ""]
    ] as const) {
      assert.throws(() => Priority.byRoute(routes), RangeError, JSON.stringify(route))
      assert.throws(() => Priority.byRoute(routes), why)
    }
  })

  it("refuses what is no priority, by its name", () => {
    for (const wrong of ["urgent", "Critical", "", "constructor", undefined, 0] as unknown as ReadonlyArray<never>) {
      for (const make of [
        () => Priority.byRoute({ "/ok": "normal", "/x": wrong }),
        () => Priority.byHeader("x-priority", { ok: "normal", no: wrong }),
        () => Priority.first([], wrong ?? (null as never))
      ]) {
        assert.throws(make, RangeError, 'a priority must be "critical", "normal" or "sheddable", got')
        if (wrong !== undefined) assert.throws(make, `got ${JSON.stringify(wrong)}`)
      }
    }
  })

  it("refuses what is no route", () => {
    for (const route of ["orders", "get /orders", "GET orders", "GET  /", ""]) {
      assert.throws(() => Priority.byRoute({ [route]: "critical" }), RangeError, JSON.stringify(route))
    }
  })

  it("takes the first rule that knows, and otherwise normal or what is given", () => {
    const rules = [() => undefined, Priority.byHeader("a"), Priority.byHeader("b")]
    const both = request("GET", "/", { a: "sheddable", b: "critical" })
    assert.strictEqual(Priority.first(rules)(both), "sheddable")
    assert.strictEqual(Priority.first(rules)(request("GET", "/")), "normal")
    assert.strictEqual(Priority.first(rules, "sheddable")(request("GET", "/")), "sheddable")
  })
})
