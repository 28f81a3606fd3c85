import { Problem, RateLimit } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Layer, Metric, Result, Schema } from "effect"
import { HttpServerRequest, type HttpRouter } from "effect/http"
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
            policies: ["api"],
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

  it.effect("takes from all policies or from none, and names those that refuse", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make([
        { name: "second", limit: 2 },
        { name: "hour", limit: 3, window: "1 hour" }
      ])
      assert.deepStrictEqual(limit.policies, ["second", "hour"])
      const quota = yield* limit.take("a", 2)
      assert.deepStrictEqual(quota, {
        remaining: 0,
        reset: Duration.minutes(40),
        headers: {
          ratelimit: '"second";r=0;t=1, "hour";r=1;t=2400',
          "ratelimit-policy": '"second";q=2;w=1, "hour";q=3;w=3600'
        }
      })
      const first = yield* Effect.flip(limit.take("a"))
      assert.deepStrictEqual(
        [first.policies, first.retryAfter, first.headers.ratelimit],
        [["second"], Duration.millis(500), '"second";r=0;t=1, "hour";r=1;t=1']
      )
      yield* TestClock.adjust("1 second")
      const both = yield* Effect.flip(limit.take("a", 2))
      assert.deepStrictEqual([both.policies, both.headers["retry-after"]], [["hour"], "1199"])
      assert.strictEqual((yield* limit.take("a")).remaining, 0)
      assert.deepStrictEqual((yield* Effect.flip(limit.take("a", 2))).policies, ["second", "hour"])
      assert.deepStrictEqual(Problem.fromError(yield* Effect.flip(limit.take("a", 2)))!.extensions, {
        "violated-policies": ["second", "hour"]
      })
    })
  )

  it.effect("remembers nobody whose buckets are full", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 1, burst: 2 })
      yield* limit.take("a", 0)
      yield* limit.check("a")
      assert.strictEqual(yield* limit.size, 0)
      for (let i = 0; i < 100; i++) yield* limit.take(`client ${i}`)
      assert.strictEqual(yield* limit.size, 100)
      yield* TestClock.adjust("3 seconds")
      for (let i = 0; i < 100; i++) yield* limit.take("a", 0.001)
      assert.strictEqual(yield* limit.size, 1)
    })
  )

  it.effect("keeps the quotas of others through a flood of new clients", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 100, window: "1 hour" }, { maxKeys: 1000 })
      for (let i = 0; i < 500; i++) yield* limit.take(`heavy ${i}`, 100)
      for (let i = 0; i < 200_000; i++) yield* limit.take(`attacker ${i}`)
      assert.strictEqual(yield* limit.size, 1000)
      for (let i = 0; i < 500; i++) assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.take(`heavy ${i}`))))
    })
  )

  it.effect("keeps long keys by their digest", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 1, burst: 2 })
      const long = "x".repeat(10_000)
      yield* limit.take(`${long}1`, 2)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.take(`${long}1`))))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(limit.take(`${long}2`))))
      yield* limit.take("é\u{10000}\ud800", 2)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(limit.take("é\u{10000}\ud800"))))
    })
  )

  it.effect("goes by the monotonic clock, and leaves at most an empty bucket if that is set back", () =>
    Effect.gen(function* () {
      let [wall, monotonic] = [1e12, 1_000_000]
      const clock: Clock.Clock = {
        ...(yield* Clock.Clock),
        currentTimeMillisUnsafe: () => wall,
        monotonicTimeNanosUnsafe: () => BigInt(monotonic) * 1_000_000n
      }
      const limit = RateLimit.make({ limit: 1, burst: 2 })
      const take = Effect.provideService(Effect.exit(limit.take("a", 2)), Clock.Clock, clock)
      assert.isTrue(Exit.isSuccess(yield* take))
      wall += 3_600_000
      assert.isTrue(Exit.isFailure(yield* take))
      wall -= 7_200_000
      monotonic += 2000
      assert.isTrue(Exit.isSuccess(yield* take))
      monotonic -= 500_000
      assert.isTrue(Exit.isFailure(yield* take))
      const refused = yield* Effect.flip(Effect.provideService(limit.take("a", 2), Clock.Clock, clock))
      assert.deepStrictEqual(refused.retryAfter, Duration.seconds(2))
    })
  )

  it.effect("takes without a fiber from the same buckets, says the same, and counts its refusals", () =>
    Effect.gen(function* () {
      const [limit, other] = [RateLimit.make({ limit: 1, burst: 3 }), RateLimit.make({ limit: 1, burst: 3 })]
      const context = Context.make(Metric.MetricRegistry, new Map())
      const take = (key: string, cost: number, now = 0) => limit.takeUnsafe(key, cost, now, context)
      assert.deepStrictEqual(take("a", 2), Result.succeed(yield* other.take("a", 2)))
      const error = yield* Effect.flip(other.take("a", 2))
      for (const refused of [take("a", 2), take("a", 2)]) {
        assert.isTrue(Result.isFailure(refused))
        if (Result.isFailure(refused)) assert.deepStrictEqual(new RateLimit.RateLimited(refused.failure), error)
      }
      assert.deepStrictEqual(yield* Effect.flip(limit.take("a", 2)), error)
      assert.strictEqual((yield* limit.take("a")).remaining, 0)
      assert.deepStrictEqual(
        Result.map(take("a", 1, 1000), ({ remaining }) => remaining),
        Result.succeed(0)
      )
      assert.deepStrictEqual(
        Result.map(take("b", 0, 1000), ({ remaining }) => remaining),
        Result.succeed(3)
      )
      assert.strictEqual(yield* limit.size, 1)
      const [counted] = Metric.snapshotUnsafe(context)
      assert.deepStrictEqual(
        [counted!.id, counted!.attributes, counted!.state],
        ["spillway_http_rate_limited_total", { policy: "default" }, { count: 2, incremental: true }]
      )
      for (const cost of [-1, Number.NaN]) assert.throws(() => take("a", cost), RangeError, "cost must be >= 0")
    })
  )

  it("demands of a key what it needs, and nothing that the default does not", () => {
    class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}
    const limit = RateLimit.make({ limit: 1 })
    const free: Layer.Layer<never, never, HttpRouter.HttpRouter> = RateLimit.layerGlobal(limit)
    // @ts-expect-error Somebody must say who the tenant is.
    const bound: Layer.Layer<never, never, HttpRouter.HttpRouter> = RateLimit.layerGlobal(limit, { key: Tenant })
    assert.isTrue([free, bound].every(Layer.isLayer))
  })

  it.effect("dies of a cost that is no number of tokens", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ limit: 1 })
      for (const cost of [-1, Number.NaN]) assert.isTrue(Exit.hasDies(yield* Effect.exit(limit.take("a", cost))))
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
    assert.throws(() => RateLimit.make({ limit: 1, burst: 1 }, { maxKeys: 0 }), RangeError, "maxKeys must be")
    assert.throws(() => RateLimit.make({ limit: 1, burst: 1, name: 'a"' }), RangeError, "name must be")
    assert.throws(() => RateLimit.make({ limit: 1, window: 0 }), RangeError, "window must be")
    assert.throws(() => RateLimit.make([]), RangeError, "at least one policy")
    assert.throws(() => RateLimit.make([{ limit: 1 }, { limit: 2 }]), RangeError, "names of policies must differ")
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

  describe("apiKey", () => {
    const known = new Set(["secret of a", "secret of b"])
    const read = (headers: Record<string, string>, options: Partial<RateLimit.ApiKeyOptions> = {}) =>
      Effect.runSync(
        Effect.provideService(
          RateLimit.apiKey({ isKnown: (key) => known.has(key), ...options }),
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://a/", { headers })).modify({
            remoteAddress: Option.some("192.0.2.1")
          })
        )
      )

    it("is a digest of the key, which does not contain it", () => {
      const [a, b] = [read({ "x-api-key": "secret of a" }), read({ "x-api-key": "secret of b" })]
      assert.match(a, /^key:[\w-]{43}$/)
      assert.notStrictEqual(a, b)
      assert.strictEqual(a, read({ authorization: "secret of a" }, { header: "Authorization" }))
      assert.strictEqual(a, read({ "x-api-key": "secret of a" }, { isKnown: () => Effect.succeed(true) }))
    })

    it("is the address without a known key", () => {
      assert.strictEqual(read({}), "192.0.2.1")
      assert.strictEqual(read({ "x-api-key": "made up" }), "192.0.2.1")
      assert.strictEqual(read({ "x-api-key": "x".repeat(513) }, { isKnown: () => true }), "192.0.2.1")
      assert.strictEqual(read({ "x-api-key": "made up" }, { isKnown: () => Effect.succeed(false) }), "192.0.2.1")
    })
  })
})
