import { Priority } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
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
