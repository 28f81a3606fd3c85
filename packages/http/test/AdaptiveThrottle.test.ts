import { assert, describe, it } from "@effect/vitest"
import { AdaptiveThrottle, HttpMetrics, Problem } from "@spillway/http"
import { Cause, Effect, Exit, Fiber, Metric, Random } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse, HttpServerResponse } from "effect/http"
import type { HttpClientRequest } from "effect/http"

type Answer = number | { readonly code: string } | "never"

/** A client whose transport answers as it is told: with a status, a fault of the connection, or never. */
const scripted = (answer: () => Answer) => {
  let sent = 0
  const client = HttpClient.make((request: HttpClientRequest.HttpClientRequest) => {
    sent++
    const next = answer()
    if (next === "never") return Effect.never
    if (typeof next === "number") {
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status: next })))
    }
    const cause = Object.assign(new Error(next.code), next)
    const reason = new HttpClientError.TransportError({ request, cause })
    return Effect.fail(new HttpClientError.HttpClientError({ reason }))
  })
  return { client, sent: () => sent }
}

/** The random number that each request draws. */
const drawing = (random: number) =>
  Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => random })

describe("AdaptiveThrottle", () => {
  it("keeps nothing back while at least one of two requests is accepted", () => {
    const throttle = AdaptiveThrottle.make()
    assert.strictEqual(throttle.probability(0), 0)
    for (let i = 0; i < 50; i++) {
      throttle.accepted(i)
      throttle.refused(i)
    }
    assert.strictEqual(throttle.probability(50), 0)
    throttle.refused(50)
    assert.strictEqual(throttle.probability(50), 1 / 102)
  })

  it("comes near to 1 but lets some ask, however many are refused", () => {
    const throttle = AdaptiveThrottle.make()
    for (let i = 0; i < 999; i++) throttle.refused(0)
    assert.strictEqual(throttle.probability(0), 0.999)
  })

  it("forgets what is older than the window", () => {
    const throttle = AdaptiveThrottle.make({ window: "10 seconds" })
    for (let i = 0; i < 9; i++) throttle.refused(0)
    assert.strictEqual(throttle.probability(9999), 0.9)
    assert.strictEqual(throttle.probability(10_000), 0)
  })

  it("refuses options outside their range", () => {
    assert.throws(
      () => AdaptiveThrottle.make({ multiplier: 0.9 }),
      RangeError,
      "multiplier must be a finite number >= 1"
    )
    assert.throws(() => AdaptiveThrottle.make({ window: 999 }), RangeError, "window must be from 1 to 300 seconds")
  })

  it.effect("fails with Throttled without sending, once the server refuses, and counts that", () =>
    Effect.gen(function* () {
      const throttle = AdaptiveThrottle.make()
      const { client, sent } = scripted(() => 503)
      const throttled = client.pipe(AdaptiveThrottle.withThrottle(throttle))
      const before = yield* Metric.value(HttpMetrics.clientThrottled)
      assert.strictEqual((yield* throttled.get("http://x/")).status, 503)
      const exit = yield* throttled.get("http://x/").pipe(drawing(0.49), Effect.exit)
      assert.deepStrictEqual(exit, Exit.fail(new AdaptiveThrottle.Throttled({ probability: 0.5 })))
      assert.strictEqual(sent(), 1)
      assert.strictEqual((yield* Metric.value(HttpMetrics.clientThrottled)).count, before.count + 1)
      // The one that was kept back counts as a request, too.
      assert.strictEqual(throttle.probability(0), 2 / 3)
      assert.strictEqual((yield* throttled.get("http://x/").pipe(drawing(0.67))).status, 503)
      assert.strictEqual(sent(), 2)
    })
  )

  it.effect("is answered 503 with Retry-After by a server whose handler fails with it", () =>
    Effect.gen(function* () {
      const response = yield* Problem.fromCause(Cause.fail(new AdaptiveThrottle.Throttled({ probability: 0.5 })))
      assert.deepStrictEqual([response.status, response.headers["retry-after"]], [503, "1"])
      const { body } = HttpServerResponse.toWeb(response)
      assert.deepStrictEqual(yield* Effect.promise(() => new Response(body).json()), {
        type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        title: "Service Unavailable",
        status: 503,
        detail: "another server is overloaded; try again later"
      })
    })
  )

  it.effect("counts refusals and lost connections, and takes any other answer for accepted", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<[Answer, accepted: boolean]> = [
        [200, true],
        [404, true],
        [500, true],
        [429, false],
        [503, false],
        [{ code: "ECONNREFUSED" }, false],
        [{ code: "ECONNRESET" }, false]
      ]
      for (const [answer, accepted] of cases) {
        const throttle = AdaptiveThrottle.make({ multiplier: 1 })
        throttle.accepted(0)
        const client = scripted(() => answer).client.pipe(AdaptiveThrottle.withThrottle(throttle))
        yield* Effect.exit(client.get("http://x/"))
        throttle.refused(0)
        assert.strictEqual(throttle.probability(0), accepted ? 1 / 4 : 2 / 4, JSON.stringify(answer))
      }
    })
  )

  it.effect("counts a response that the client made an error of by its status", () =>
    Effect.gen(function* () {
      const throttle = AdaptiveThrottle.make()
      const client = scripted(() => 503).client.pipe(HttpClient.filterStatusOk, AdaptiveThrottle.withThrottle(throttle))
      yield* Effect.exit(client.get("http://x/"))
      assert.strictEqual(throttle.probability(0), 1 / 2)
    })
  )

  it.effect("counts nothing for an interrupted request or a fault that is not of the connection", () =>
    Effect.gen(function* () {
      const throttle = AdaptiveThrottle.make()
      const waiting = scripted(() => "never").client.pipe(AdaptiveThrottle.withThrottle(throttle))
      const fiber = yield* Effect.forkChild(waiting.get("http://x/"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const failing = scripted(() => ({ code: "CERT_HAS_EXPIRED" })).client.pipe(
        AdaptiveThrottle.withThrottle(throttle)
      )
      yield* Effect.exit(failing.get("http://x/"))
      yield* Effect.exit(failing.get("no url"))
      throttle.refused(0)
      assert.strictEqual(throttle.probability(0), 1 / 2)
    })
  )

  it.effect("keeps nothing back of a burst that has not been answered yet", () =>
    Effect.gen(function* () {
      const { client, sent } = scripted(() => "never")
      const throttled = client.pipe(AdaptiveThrottle.withThrottle(AdaptiveThrottle.make()))
      const burst = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => throttled.get("http://x/"), {
          concurrency: "unbounded"
        }).pipe(drawing(0)),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      assert.strictEqual(sent(), 100)
      yield* Fiber.interrupt(burst)
    })
  )
})
