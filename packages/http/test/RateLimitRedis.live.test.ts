import { RateLimit, RateLimitShared } from "@spillway/http"
import * as RateLimitRedis from "@spillway/http/RateLimitRedis"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Layer, Logger, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, soon, start } from "./fixture.ts"
import { makeRedis, redisVersion } from "./redisFixture.ts"
import type { RedisServer } from "./redisFixture.ts"

type Limit = RateLimit.RateLimit<RateLimitShared.RateLimitUnavailable>

/** A machine: a limit over a connection of its own. */
const machine = (
  { socket }: RedisServer,
  policies: RateLimit.Policy | ReadonlyArray<RateLimit.Policy>,
  options: RateLimitShared.Options = {}
) =>
  Effect.flatMap(Layer.build(RateLimitRedis.layer({ socket })), (context) =>
    Effect.provide(
      RateLimitShared.make(policies, { onUnavailable: "closed", retryInterval: "50 millis", ...options }),
      context
    )
  )

/** What a take gives: `ok`, or the tag of its error. `unknown` is a take that the store was not asked for. */
const outcome = (limit: Limit, key: string, cost = 1) =>
  Effect.match(limit.take(key, cost), {
    onFailure: ({ _tag }) => _tag,
    onSuccess: ({ headers }) => (headers.ratelimit === undefined ? "unknown" : "ok")
  })

/** Waits until a take, each time of a new client, has this outcome. */
const until = (limit: Limit, wanted: string) => {
  let count = 0
  const attempt = Effect.suspend(() => outcome(limit, `until ${wanted} ${count++}`))
  return soon(
    Effect.repeat(
      Effect.tap(attempt, () => Effect.sleep(5)),
      { until: (got) => got === wanted }
    )
  )
}

const test = (name: string, body: (redis: RedisServer) => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live.skipIf(redisVersion === undefined)(name, () =>
    Effect.flatMap(makeRedis, body).pipe(Effect.provide(Logger.layer([])), Effect.orDie)
  )

const hourly = { name: "hourly", limit: 1, window: "1 hour" } as const

describe("RateLimitRedis", () => {
  test("gives two machines one quota, to the token", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const make = machine(redis, { ...hourly, burst: 300 }, { timeout: "10 seconds" })
      const machines = [yield* make, yield* make]
      yield* Effect.forEach(machines, (limit) => until(limit, "ok"))
      const takes = Array.from({ length: 600 }, (_, i) => outcome(machines[i % 2]!, "x"))
      const outcomes = yield* soon(Effect.all(takes, { concurrency: "unbounded" }))
      assert.strictEqual(outcomes.filter((outcome) => outcome === "ok").length, 300)
      assert.strictEqual(outcomes.filter((outcome) => outcome === "RateLimited").length, 300)
    }))

  test("admits no more than burst and rate allow, whatever machines believe to be the time", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const make = machine(redis, { limit: 200, burst: 20 }, { timeout: "10 seconds" })
      const [a, b] = [yield* make, yield* make]
      yield* Effect.all([until(a, "ok"), until(b, "ok")])
      const clock = yield* Clock.Clock
      const ahead = { ...clock, currentTimeMillisUnsafe: () => Date.now() + 60_000 }
      Object.setPrototypeOf(ahead, Object.getPrototypeOf(clock))
      const began = process.hrtime.bigint()
      let admitted = 0
      let elapsed = 0
      while (elapsed < 500) {
        const outcomes = yield* Effect.all(
          [outcome(a, "x"), Effect.provideService(outcome(b, "x"), Clock.Clock, ahead), outcome(a, "x", 2)],
          { concurrency: "unbounded" }
        )
        outcomes.forEach((outcome, i) => (admitted += outcome === "ok" ? [1, 1, 2][i]! : 0))
        yield* Effect.yieldNow
        elapsed = Number(process.hrtime.bigint() - began) / 1e6
      }
      assert.isAtMost(admitted, 20 + elapsed / 5 + 1)
      // Most of what there was has been given.
      assert.isAtLeast(admitted, 20 + elapsed / 10)
    }))

  test("keeps each client in Redis only until its bucket is full, and a refused one no longer", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const limit = yield* machine(redis, { limit: 10, burst: 20 }, { timeout: "10 seconds" })
      yield* until(limit, "ok")
      yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => `client ${i}`),
        (key) => limit.take(key),
        {
          concurrency: "unbounded"
        }
      )
      yield* limit.take("spent", 20)
      const ttl = Effect.map(redis.send("PTTL", "ratelimit:default:{spent}"), Number)
      const before = yield* ttl
      assert.isTrue(before > 0 && before <= 2000)
      const other = yield* machine(redis, { limit: 10, burst: 20 }, { timeout: "10 seconds" })
      yield* until(other, "ok")
      assert.strictEqual(yield* outcome(other, "spent", 20), "RateLimited")
      assert.isAtMost(yield* ttl, before)
      yield* soon(
        Effect.repeat(
          Effect.tap(redis.send("DBSIZE"), () => Effect.sleep(20)),
          { until: (size) => size === "0" }
        )
      )
    }))

  test("takes nothing of any policy when one refuses", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const policies = [
        { ...hourly, name: "few", burst: 2 },
        { ...hourly, name: "many", burst: 100 }
      ]
      const make = machine(redis, policies, { timeout: "10 seconds" })
      const [a, b] = [yield* make, yield* make]
      yield* Effect.all([until(a, "ok"), until(b, "ok")])
      yield* a.take("x", 2)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* outcome(b, "x"), "RateLimited")
      const quota = yield* b.take("x", 0)
      assert.match(quota.headers.ratelimit!, /^"few";r=0;t=\d+, "many";r=98;t=\d+$/)
    }))

  test("is there before Redis is, and finds it", (redis) => {
    let warnings = 0
    const logger = Logger.make(({ logLevel }) => void (warnings += logLevel === "Warn" ? 1 : 0))
    return Effect.gen(function* () {
      const [closed, open] = [
        yield* machine(redis, hourly, { onUnavailable: "closed" }),
        yield* machine(redis, hourly, { onUnavailable: "open" })
      ]
      assert.deepStrictEqual(
        [yield* outcome(closed, "x"), yield* outcome(open, "x")],
        ["RateLimitUnavailable", "unknown"]
      )
      // Each attempt that fails is a warning; some others may come from the limits.
      const several = Effect.tap(
        Effect.sync(() => warnings >= 6),
        () => Effect.sleep(5)
      )
      yield* soon(Effect.repeat(several, { until: (reached) => reached }))
      yield* redis.start
      yield* Effect.all([until(closed, "ok"), until(open, "ok")])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    test(`fails open, closed or to itself while Redis is away after ${signal}, and recovers`, (redis) =>
      Effect.gen(function* () {
        yield* redis.start
        const make = (onUnavailable: RateLimitShared.OnUnavailable) =>
          machine(redis, { ...hourly, burst: 5 }, { onUnavailable })
        const [closed, open, local] = [yield* make("closed"), yield* make("open"), yield* make("local")]
        yield* Effect.forEach([closed, open, local], (limit) => until(limit, "ok"), { concurrency: "unbounded" })
        assert.strictEqual(yield* outcome(local, "x", 3), "ok")
        if (signal === "SIGKILL") yield* redis.kill
        else redis.signal(signal)
        yield* Effect.all([until(closed, "RateLimitUnavailable"), until(open, "unknown")])
        // It goes on from what Redis has said: 2 of 5 are left.
        assert.strictEqual(yield* soon(outcome(local, "x", 2)), "ok")
        assert.strictEqual(yield* soon(outcome(local, "x")), "RateLimited")
        if (signal === "SIGKILL") yield* redis.start
        else redis.signal("SIGCONT")
        yield* Effect.all([until(closed, "ok"), until(open, "ok")], { concurrency: "unbounded" })
      }))
  }

  test("holds up no request by more than its timeout, and few by that, while Redis does not answer", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const limit = yield* machine(redis, hourly, { onUnavailable: "closed", retryInterval: "1 minute" })
      yield* until(limit, "ok")
      const app = Layer.mergeAll(
        HttpRouter.add("GET", "/", HttpServerResponse.text("ok")),
        RateLimit.layerGlobal(limit, { key: Effect.succeed("someone") })
      )
      const server = yield* start(router(app))
      assert.strictEqual((yield* get(server.url("/"))).status, 200)
      redis.signal("SIGSTOP")
      yield* until(limit, "RateLimitUnavailable")
      const wanted = Effect.repeat(outcome(limit, "x"), { times: 20 })
      yield* wanted
      const began = process.hrtime.bigint()
      for (let i = 0; i < 20; i++) {
        const answer = yield* get(server.url(`/?${i}`))
        // Known to be over its quota since the first request, which no Redis is needed for.
        assert.strictEqual(answer.status, 429)
        assert.strictEqual(yield* outcome(limit, `new ${i}`), "RateLimitUnavailable")
      }
      // Each with its timeout would be 2 s at least.
      assert.isBelow(Number(process.hrtime.bigint() - began) / 1e6, 1500)
    }))

  test("ends at once although Redis does not answer", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      const scope = yield* Scope.make()
      const limit = yield* Effect.provideService(
        machine(redis, hourly, { onUnavailable: "closed" }),
        Scope.Scope,
        scope
      )
      yield* until(limit, "ok")
      redis.signal("SIGSTOP")
      yield* until(limit, "RateLimitUnavailable")
      yield* soon(Scope.close(scope, Exit.void))
    }))

  test("ends at once although it waits for a Redis that takes connections and says nothing", (redis) =>
    Effect.gen(function* () {
      yield* redis.start
      redis.signal("SIGSTOP")
      const scope = yield* Scope.make()
      const limit = yield* Effect.provideService(machine(redis, hourly), Scope.Scope, scope)
      assert.strictEqual(yield* outcome(limit, "x"), "RateLimitUnavailable")
      // Long enough for the connection to stand: nothing tells.
      yield* Effect.sleep("100 millis")
      yield* soon(Scope.close(scope, Exit.void))
    }))
})
