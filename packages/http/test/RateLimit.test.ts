import { Problem, RateLimit } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Result, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { Option } from "effect"

const requestFrom = (remoteAddress: string | undefined, forwarded?: string) =>
  HttpServerRequest.fromWeb(
    new Request("http://a/", { headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded } })
  ).modify({ remoteAddress: Option.fromUndefinedOr(remoteAddress) })

const key = (options: RateLimit.ClientOptions, remoteAddress: string | undefined, forwarded?: string) =>
  Effect.runSync(
    Effect.provideService(
      RateLimit.clientKey(options),
      HttpServerRequest.HttpServerRequest,
      requestFrom(remoteAddress, forwarded)
    )
  )

describe("RateLimit", () => {
  it.effect("lets a burst pass, then the rate", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ name: "api", limit: 10, burst: 3 })
      for (const remaining of [2, 1, 0]) assert.strictEqual((yield* limit.take("a")).remaining, remaining)
      const refused = yield* Effect.result(limit.take("a"))
      assert.deepStrictEqual(
        refused,
        Result.fail(
          new RateLimit.RateLimited({
            policy: "api",
            cost: 1,
            burst: 3,
            retryAfter: Duration.millis(100),
            headers: { ratelimit: '"api";r=0;t=1', "ratelimit-policy": '"api";q=3;w=1', "retry-after": "1" }
          })
        )
      )
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* limit.take("a")).remaining, 0)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* limit.take("a", 3)).remaining, 0)
    })
  )

  it.effect("counts each client by itself, and costs as given", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 1, burst: 10 })
      const quota = yield* limit.take("a", 4)
      assert.deepStrictEqual(quota, {
        remaining: 6,
        reset: Duration.seconds(4),
        headers: { ratelimit: '"default";r=6;t=4', "ratelimit-policy": '"default";q=10;w=10' }
      })
      assert.strictEqual((yield* limit.take("b", 0)).remaining, 10)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.take("a", 7))))
      assert.strictEqual((yield* limit.take("a", 6)).remaining, 0)
    })
  )

  it.effect("answers a refusal 429 with Retry-After, and 413 without it when no waiting helps", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 2, burst: 10 })
      yield* limit.take("a", 10)
      const later = Problem.fromError(yield* Effect.flip(limit.take("a", 5)))!
      assert.deepStrictEqual(
        [later.status, later.headers["retry-after"], later.extensions],
        [429, "3", { "violated-policies": ["default"] }]
      )
      const never = Problem.fromError(yield* Effect.flip(limit.take("a", 11)))!
      assert.deepStrictEqual([never.status, never.headers["retry-after"]], [413, undefined])
    })
  )

  it.effect("checks for one token and takes none", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 10, burst: 2 })
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* limit.check("a"), undefined)
      assert.strictEqual((yield* limit.take("a", 2)).remaining, 0)
      yield* TestClock.adjust(25)
      const refused = yield* Effect.flip(limit.check("a"))
      assert.deepStrictEqual(refused, yield* Effect.flip(limit.take("a")))
      assert.deepStrictEqual([refused.cost, refused.retryAfter], [1, Duration.millis(75)])
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(limit.check("b"))))
      yield* TestClock.adjust(75)
      yield* limit.check("a")
      assert.strictEqual((yield* limit.take("a")).remaining, 0)
    })
  )

  it.effect("remembers a bounded number of clients, and forgets the one not seen for longest", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 0.001, burst: 1, maxKeys: 3 })
      for (const client of ["a", "b", "c"]) yield* limit.take(client)
      yield* Effect.exit(limit.take("a"))
      yield* limit.take("d")
      assert.strictEqual(yield* limit.size, 3)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.take("a"))))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(limit.take("b"))))
      for (let i = 0; i < 100_000; i++) yield* limit.take(`attacker ${i}`)
      assert.strictEqual(yield* limit.size, 3)
    })
  )

  it.effect.prop(
    "never gives more than burst and rate allow",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))).check(Schema.isMaxLength(50))],
    ([pauses]) =>
      Effect.gen(function* () {
        const limit = RateLimit.make({ limit: 10, burst: 5 })
        let taken = 0
        let elapsed = 0
        for (const pause of pauses) {
          yield* TestClock.adjust(pause)
          elapsed += pause
          if (Exit.isSuccess(yield* Effect.exit(limit.take("a")))) taken++
          assert.isAtMost(taken, 5 + (elapsed / 1000) * 10 + 1e-6)
        }
      })
  )

  it("throws a RangeError that names the field", () => {
    assert.throws(() => RateLimit.make({ limit: 0, burst: 1 }), RangeError, "limit must be")
    assert.throws(() => RateLimit.make({ limit: 1, burst: 0 }), RangeError, "burst must be")
    assert.throws(() => RateLimit.make({ limit: 1, burst: 1, maxKeys: 0 }), RangeError, "maxKeys must be")
    assert.throws(() => RateLimit.make({ limit: 1, burst: 1, name: 'a"' }), RangeError, "name must be")
    assert.throws(() => RateLimit.clientKey({ trustedProxies: ["nonsense"] }), RangeError, "trustedProxies")
  })

  describe("clientKey", () => {
    it("is the address of the socket, whatever X-Forwarded-For claims", () => {
      assert.strictEqual(key({}, "192.0.2.1", "198.51.100.7"), "192.0.2.1")
      assert.strictEqual(key({}, "::ffff:192.0.2.1"), "192.0.2.1")
      assert.strictEqual(key({}, undefined), "unknown")
    })

    it("is the /64 network for IPv6", () => {
      assert.strictEqual(key({}, "2001:db8:1:2:3:4:5:6"), key({}, "2001:db8:1:2:ffff::1"))
      assert.notStrictEqual(key({}, "2001:db8:1:2::1"), key({}, "2001:db8:1:3::1"))
    })

    it("is the last address that is no trusted proxy", () => {
      const options = { trustedProxies: ["10.0.0.0/8"] }
      assert.strictEqual(key(options, "10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7")
      assert.strictEqual(key(options, "192.0.2.1", "198.51.100.7"), "192.0.2.1")
      assert.strictEqual(key(options, "10.0.0.1"), "10.0.0.1")
      assert.strictEqual(key(options, "10.0.0.1", "nonsense"), "10.0.0.1")
    })
  })
})
