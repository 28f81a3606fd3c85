import { HttpMetrics, Problem, RateLimit, RateLimitShared } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Schema } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"

const policy = { name: "api", limit: 10, burst: 3 } as const

type Ask = Parameters<RateLimiter.RateLimiterStore["Service"]["tokenBucket"]>[0]
const broken = new RateLimiter.RateLimiterError({
  reason: new RateLimiter.RateLimitStoreError({ message: "expected" })
})

/** Effect's own store in memory, whose answers may be made to fail or to hang, and which counts what it is asked. */
const makeStore = Effect.gen(function* () {
  const context = yield* Layer.build(RateLimiter.layerStoreMemory)
  const memory = RateLimiter.RateLimiterStore.pipe(Effect.provideContext(context))
  const store = yield* memory
  const state = { mode: "works" as "works" | "fails" | "hangs", asked: [] as Array<Ask> }
  const layer = Layer.succeed(RateLimiter.RateLimiterStore, {
    ...store,
    tokenBucket: (options) =>
      Effect.suspend(() => {
        state.asked.push(options)
        if (state.mode === "hangs") return Effect.never
        return state.mode === "fails" ? Effect.fail(broken) : store.tokenBucket(options)
      })
  })
  return { state, layer }
})

const failuresOf = (reason: string) =>
  Effect.map(Metric.value(Metric.withAttributes(HttpMetrics.rateLimitStoreFailures, { reason })), ({ count }) => count)

/** Runs a take that may take the time of the timeout. */
const settled = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(self), { startImmediately: true })
    yield* TestClock.adjust("100 millis")
    return yield* Fiber.join(fiber)
  })

describe("RateLimitShared", () => {
  it.effect("shares a quota between all that use the store", () =>
    Effect.gen(function* () {
      const { layer } = yield* makeStore
      const [a, b] = yield* Effect.provide(
        Effect.all([RateLimitShared.make(policy), RateLimitShared.make(policy)]),
        layer
      )
      assert.deepStrictEqual(yield* a.take("x"), {
        remaining: 2,
        reset: Duration.millis(100),
        headers: { ratelimit: '"api";r=2;t=1', "ratelimit-policy": '"api";q=3;w=1' }
      })
      assert.strictEqual((yield* b.take("x", 2)).remaining, 0)
      const refused = yield* Effect.flip(a.take("x"))
      assert.deepStrictEqual(
        refused,
        new RateLimit.RateLimited({
          policies: ["api"],
          cost: 1,
          burst: 3,
          retryAfter: Duration.millis(100),
          headers: { ratelimit: '"api";r=0;t=1', "ratelimit-policy": '"api";q=3;w=1', "retry-after": "1" }
        })
      )
      yield* a.take("y")
      yield* TestClock.adjust("100 millis")
      yield* a.check("x")
      assert.strictEqual((yield* b.take("x")).remaining, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(a.check("x"))))
    })
  )

  it.effect("does not ask the store about a client that it knows to be over its quota", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* makeStore
      const limit = yield* Effect.provide(RateLimitShared.make(policy), layer)
      yield* limit.take("x", 3)
      for (let i = 0; i < 1000; i++) yield* Effect.flip(limit.take("x"))
      assert.strictEqual(state.asked.length, 1)
      yield* TestClock.adjust("100 millis")
      yield* limit.take("x")
      assert.strictEqual(state.asked.length, 2)
    })
  )

  it.effect("gives back what one policy gave when another refuses", () =>
    Effect.gen(function* () {
      const { layer } = yield* makeStore
      const policies = [
        { name: "few", limit: 1, burst: 2 },
        { name: "many", limit: 100, window: "1 hour" }
      ] as const
      const make = Effect.provide(RateLimitShared.make(policies), layer)
      const [a, b] = [yield* make, yield* make]
      yield* a.take("x", 2)
      for (let i = 0; i < 5; i++) {
        const refused = yield* Effect.flip(b.take("x", 1))
        assert.deepStrictEqual(refused._tag === "RateLimited" && refused.policies, ["few"])
      }
      yield* TestClock.adjust("2 seconds")
      const quota = yield* b.take("x", 0)
      assert.match(quota.headers.ratelimit!, /^"few";r=2;t=0, "many";r=98;t=\d+$/)
    })
  )

  it.effect.prop(
    "admits no more than burst and rate allow, however machines share it and the store fails",
    [
      Schema.Array(
        Schema.Struct({
          machine: Schema.Literals([0, 1]),
          cost: Schema.Literals([1, 1, 2, 3]),
          pause: Schema.Literals([0, 0, 10, 150, 2000]),
          works: Schema.Literals([true, true, true, false])
        })
      ).check(Schema.isBetweenLength(20, 60))
    ],
    ([steps]) =>
      Effect.gen(function* () {
        const { layer, state } = yield* makeStore
        const make = Effect.provide(RateLimitShared.make(policy, { onUnavailable: "closed" }), layer)
        const machines = [yield* make, yield* make] as const
        let [admitted, elapsed] = [0, 0]
        for (const { cost, machine, pause, works } of steps) {
          yield* TestClock.adjust(pause)
          elapsed += pause
          state.mode = works ? "works" : "fails"
          if (Exit.isSuccess(yield* Effect.exit(machines[machine]!.take("x", cost)))) admitted += cost
          assert.isAtMost(admitted, 3 + elapsed / 100 + 1e-6)
        }
      }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const mode of ["fails", "hangs"] as const) {
    it.effect(`leaves a store alone that ${mode}, tries it again, and logs once for each change`, () =>
      Effect.gen(function* () {
        const logged: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => logged.push([logLevel, [message].flat()[0]]))
        yield* Effect.gen(function* () {
          const { layer, state } = yield* makeStore
          const reason = mode === "fails" ? "Failed" : "TimedOut"
          const before = [yield* failuresOf(reason), yield* failuresOf("Away")] as const
          const limit = yield* Effect.provide(
            RateLimitShared.make({ limit: 1, burst: 1000 }, { onUnavailable: "open", maxFailures: 3 }),
            layer
          )
          yield* limit.take("x")
          state.mode = mode
          for (let i = 0; i < 3; i++) {
            const exit = yield* settled(limit.take("x"))
            assert.deepStrictEqual(
              exit,
              Exit.succeed({
                remaining: 1000,
                reset: Duration.zero,
                headers: { "ratelimit-policy": '"default";q=1000;w=1000' }
              })
            )
          }
          const { length } = state.asked
          for (let i = 0; i < 50; i++) yield* limit.take("x")
          assert.strictEqual(state.asked.length, length)
          yield* TestClock.adjust("1 second")
          yield* settled(limit.take("x"))
          assert.strictEqual(state.asked.length, length + 1)
          state.mode = "works"
          yield* TestClock.adjust("1 second")
          yield* limit.take("x")
          assert.isDefined((yield* limit.take("x")).headers.ratelimit)
          yield* Effect.yieldNow
          assert.deepStrictEqual(
            [yield* failuresOf(reason), yield* failuresOf("Away")],
            [before[0] + 4, before[1] + 50]
          )
          assert.deepStrictEqual(logged, [
            ["Warn", "the store of the rate limits is away"],
            ["Info", "the store of the rate limits is back"]
          ])
        }).pipe(Effect.provide(Logger.layer([logger])))
      })
    )
  }

  it.effect("answers 503 without the store if it fails closed, and 429 by itself if it is local", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* makeStore
      const make = (onUnavailable: RateLimitShared.OnUnavailable) =>
        Effect.provide(RateLimitShared.make(policy, { onUnavailable }), layer)
      const [closed, local] = [yield* make("closed"), yield* make("local")]
      yield* local.take("x")
      state.mode = "fails"
      const exit = yield* Effect.exit(closed.take("x"))
      assert.deepStrictEqual(exit, Exit.fail(new RateLimitShared.RateLimitUnavailable()))
      const answer = yield* Effect.flatMap(
        Effect.sandbox(Effect.flip(Effect.sandbox(closed.take("y")))),
        Problem.fromCause
      )
      assert.deepStrictEqual([answer.status, answer.headers["retry-after"]], [503, "1"])
      assert.strictEqual((yield* local.take("x", 2)).remaining, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(local.take("x"))))
      assert.strictEqual((yield* local.take("other")).remaining, 2)
    })
  )

  it.effect("lets an interrupted take go, and counts it as no failure of the store", () =>
    Effect.gen(function* () {
      const { layer, state } = yield* makeStore
      const limit = yield* Effect.provide(
        RateLimitShared.make(policy, { maxFailures: 1, onUnavailable: "closed" }),
        layer
      )
      state.mode = "hangs"
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Effect.andThen(Deferred.succeed(started, undefined), limit.take("x")), {
        startImmediately: true
      })
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      state.mode = "works"
      assert.strictEqual((yield* limit.take("x")).remaining, 2)
    })
  )

  it.effect("dies of options out of their range", () =>
    Effect.gen(function* () {
      const { layer } = yield* makeStore
      const dies = (options: RateLimitShared.Options) =>
        Effect.map(Effect.exit(Effect.provide(RateLimitShared.make(policy, options), layer)), Exit.hasDies)
      for (const options of [{ timeout: 0 }, { maxFailures: 0 }, { maxKeys: 0 }, { retryInterval: -1 }] as const) {
        assert.isTrue(yield* dies(options))
      }
    })
  )
})
