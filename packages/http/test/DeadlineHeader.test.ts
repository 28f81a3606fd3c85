import { assert, describe, it } from "@effect/vitest"
import { DeadlineHeader } from "@spillway/http"
import * as Deadline from "@spillway/runtime/Deadline"
import { Duration, Effect, Exit, Schedule } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

const { remainingOf } = DeadlineHeader

/** A client that answers at once, with the field of each request that was sent. */
const recording = (status = 200) => {
  const fields: Array<string | undefined> = []
  const client = HttpClient.make((request) => {
    fields.push(request.headers[DeadlineHeader.name])
    return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status })))
  })
  return { client, fields }
}

describe("DeadlineHeader", () => {
  it("reads whole milliseconds of at most ten digits, and ignores everything else", () => {
    const read = (value: string) => remainingOf({ "x-request-timeout-ms": value })
    assert.deepStrictEqual(["0", "1", "0250", "9999999999"].map(read), [0, 1, 250, 9_999_999_999])
    const bad = ["", " ", "-1", "+1", "1.5", "1e3", "0x10", "10000000000", "5 ", "5, 6", "Infinity", "NaN", "٣", "5ms"]
    for (const value of bad) assert.isUndefined(read(value), JSON.stringify(value))
    assert.isUndefined(remainingOf({}))
    assert.isUndefined(remainingOf({ "x-request-timeout-ms": ["1", "2"] }))
  })

  it("understands the fields of gRPC, Connect and Envoy, for which 0 is not a time", () => {
    const grpc: ReadonlyArray<[string, number | undefined]> = [
      ["2H", 7_200_000],
      ["3M", 180_000],
      ["4S", 4000],
      ["250m", 250],
      ["5000u", 5],
      ["99999999n", 99.999999],
      ["0S", undefined],
      ["S", undefined],
      ["", undefined],
      ["1", undefined],
      ["1s", undefined],
      ["-1S", undefined],
      ["123456789m", undefined]
    ]
    for (const [value, expected] of grpc) {
      const millis = remainingOf({ "grpc-timeout": value })
      if (expected === undefined) assert.isUndefined(millis, value)
      else assert.closeTo(millis!, expected, 1e-6, value)
    }
    for (const name of ["x-envoy-expected-rq-timeout-ms", "connect-timeout-ms"]) {
      assert.deepStrictEqual(
        ["15000", "0", "x"].map((value) => remainingOf({ [name]: value })),
        [15_000, undefined, undefined]
      )
    }
  })

  it("takes the smallest of several, and none of them for a bad one beside it", () => {
    const headers = { "x-request-timeout-ms": "300", "x-envoy-expected-rq-timeout-ms": "200", "grpc-timeout": "1S" }
    assert.strictEqual(remainingOf(headers), 200)
    assert.strictEqual(remainingOf({ ...headers, "x-envoy-expected-rq-timeout-ms": "bad" }), 300)
    assert.strictEqual(remainingOf({ ...headers, "x-request-timeout-ms": "0" }), 0)
  })

  it.effect("adds what is left of the deadline, rounded down, and nothing without one", () =>
    Effect.gen(function* () {
      const { client, fields } = recording()
      const timed = client.pipe(DeadlineHeader.withDeadline)
      yield* timed.get("http://x/")
      yield* timed.get("http://x/").pipe(Deadline.within("500 millis"))
      yield* Effect.andThen(TestClock.adjust("123 millis"), timed.get("http://x/")).pipe(Deadline.within(500.9))
      yield* timed.get("http://x/").pipe(Deadline.within("365 days"))
      assert.deepStrictEqual(fields, [undefined, "500", "377", "9999999999"])
    })
  )

  it.effect("keeps a smaller value of the request's own, and replaces a larger or a bad one", () =>
    Effect.gen(function* () {
      const { client, fields } = recording()
      const timed = client.pipe(DeadlineHeader.withDeadline)
      for (const own of ["100", "900", "soon"]) {
        const request = HttpClientRequest.get("http://x/", { headers: { [DeadlineHeader.name]: own } })
        yield* timed.execute(request).pipe(Deadline.within("500 millis"))
      }
      assert.deepStrictEqual(fields, ["100", "500", "500"])
    })
  )

  it.effect("sends nothing with less than a millisecond left", () =>
    Effect.gen(function* () {
      const { client, fields } = recording()
      const exit = yield* client.pipe(DeadlineHeader.withDeadline).get("http://x/").pipe(
        // A deadline that nobody enforces.
        Effect.provideService(Deadline.CurrentDeadline, 0.9),
        Effect.exit
      )
      assert.deepStrictEqual(exit, Exit.fail(new Deadline.DeadlineExceeded({ budget: Duration.zero })))
      assert.deepStrictEqual(fields, [])
    })
  )

  it.effect("says what is left at each attempt of a client that repeats", () =>
    Effect.gen(function* () {
      const { client, fields } = recording(503)
      const repeating = client.pipe(
        DeadlineHeader.withDeadline,
        HttpClient.retryTransient({ schedule: Schedule.spaced("100 millis"), times: 2 })
      )
      const fiber = yield* Effect.forkChild(repeating.get("http://x/").pipe(Deadline.within("500 millis")), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      assert.deepStrictEqual(fields, ["500", "400", "300"])
    })
  )
})
