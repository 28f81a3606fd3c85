import { Problem } from "@spillway/http"
import { OffloadError } from "@spillway/runtime"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"

const bodyOf = (response: HttpServerResponse.HttpServerResponse) =>
  response.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(response.body.body)) : undefined

describe("Problem", () => {
  it.effect("is an error that answers for itself", () =>
    Effect.gen(function* () {
      const conflict = Problem.make({
        status: 409,
        detail: "choose another name",
        type: "https://example.org/taken",
        headers: { "x-a": "b" },
        extensions: { name: "a" }
      })
      assert.deepStrictEqual(yield* Effect.flip(Effect.andThen(conflict, Effect.void)), conflict)
      const response = yield* HttpServerRespondable.toResponse(conflict)
      assert.deepStrictEqual(
        [response.status, response.headers["content-type"], response.headers["x-a"]],
        [409, "application/problem+json", "b"]
      )
      assert.deepStrictEqual(bodyOf(response), {
        type: "https://example.org/taken",
        title: "Conflict",
        status: 409,
        detail: "choose another name",
        name: "a"
      })
      assert.strictEqual(Problem.toResponse(conflict), response)
    })
  )

  it("throws a RangeError for a status that is no problem", () => {
    assert.throws(() => Problem.make({ status: 200 }), RangeError, "Problem.make: status")
  })

  it("knows the errors of offloading", () => {
    const offload = (reason: OffloadError.OffloadError["reason"]) =>
      Problem.fromError(new OffloadError.OffloadError({ task: "count", reason }))
    const saturated = offload(
      new OffloadError.Saturated({ why: "QueueFull", queued: 1, retryAfter: Duration.millis(1200) })
    )!
    assert.deepStrictEqual([saturated.status, saturated.headers["retry-after"]], [503, "2"])
    assert.strictEqual(offload(new OffloadError.Unavailable({ why: "Closed" }))?.status, 503)
    const error = { name: "Error", message: "connect ECONNREFUSED" }
    const unreachable = offload(new OffloadError.Unavailable({ why: "Unreachable", error }))!
    assert.deepStrictEqual([unreachable.status, unreachable.headers["retry-after"]], [503, "1"])
    const disconnected = offload(new OffloadError.Disconnected({ error }))!
    assert.deepStrictEqual([disconnected.status, disconnected.headers], [502, {}])
    assert.strictEqual(offload(new OffloadError.TimedOut({ timeout: Duration.seconds(1) }))?.status, 504)
    assert.strictEqual(offload(new OffloadError.DeadlinePassed())?.status, 504)
    assert.isUndefined(offload(new OffloadError.Crashed({ exitCode: 1 })))
  })

  it("names places as JSON Pointers", () => {
    const schema = Schema.Struct({ "a/b~c": Schema.Array(Schema.String) })
    const error = Effect.runSync(Effect.flip(Schema.decodeUnknownEffect(schema)({ "a/b~c": ["x", 1] })))
    assert.deepStrictEqual(Problem.places(error, "/0"), [{ path: "/0/a~1b~0c/1", message: "Expected string" }])
  })

  it("cuts a pointer that is very long", () => {
    const schema = Schema.Record(Schema.String, Schema.Number)
    const pointerOf = (key: string) =>
      Problem.places(Effect.runSync(Effect.flip(Schema.decodeUnknownEffect(schema)({ [key]: "x" }))), "/0")[0]!.path
    const long = pointerOf("k".repeat(900_000))
    assert.strictEqual(long, `/0/${"k".repeat(196)}…`)
    assert.strictEqual(pointerOf("k".repeat(197)), `/0/${"k".repeat(197)}`)
    assert.isTrue(pointerOf(`${"k".repeat(195)}😀😀`).isWellFormed())
  })

  it.effect("keeps the response of an error that has one, and of a response that is thrown", () =>
    Effect.gen(function* () {
      const teapot = HttpServerResponse.empty({ status: 418 })
      const respondable = { [HttpServerRespondable.symbol]: () => Effect.succeed(teapot) }
      assert.strictEqual(yield* Problem.fromCause(Cause.fail(respondable)), teapot)
      assert.strictEqual(yield* Problem.fromCause(Cause.die(teapot)), teapot)
      assert.strictEqual((yield* Problem.fromCause(Cause.die(new Error("secret")))).status, 500)
      assert.strictEqual((yield* Problem.fromCause(Cause.interrupt(1))).status, 503)
    })
  )
})
