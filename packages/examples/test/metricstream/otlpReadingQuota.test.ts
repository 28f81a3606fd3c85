import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { RateLimited } from "@spillway/http/RateLimit"
import { ReadingQuota } from "@spillway/examples/metricstream/otlp/readingQuota"

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
/** 100 a second, and 200 at once. */
const makeQuota = () => new ReadingQuota(100)
const refusal = (millis: number) =>
  new RateLimited({
    policies: ["reading"],
    cost: 1,
    burst: 200,
    retryAfter: Duration.millis(millis),
    headers: { "retry-after": String(Math.ceil(millis / 1000)) }
  })

describe("ReadingQuota", () => {
  it.effect("charges what reading has cost, and refuses a client that owes until time has paid", () =>
    Effect.gen(function* () {
      const quota = makeQuota()
      assert.strictEqual(yield* quota.charged("a", 10, Effect.succeed("read"), () => 700), "read")
      assert.deepStrictEqual(yield* Effect.flip(quota.check("a")), refusal(5010))
      assert.deepStrictEqual(yield* Effect.flip(quota.charged("a", 1, Effect.die("read"), () => 1)), refusal(5010))
      yield* quota.check("b")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Effect.flip(quota.check("a")), refusal(10))
      yield* TestClock.adjust("10 millis")
      yield* quota.check("a")
    })
  )

  it.effect("charges what cannot be read, and what nobody waits for", () =>
    Effect.gen(function* () {
      const quota = makeQuota()
      assert.deepStrictEqual(
        yield* Effect.exit(quota.charged("a", 1, Effect.fail("bad"), (exit) => (Exit.hasFails(exit) ? 300 : 0))),
        Exit.fail("bad")
      )
      assert.deepStrictEqual(yield* Effect.flip(quota.check("a")), refusal(1010))
      const gone = yield* fork(quota.charged("b", 1, Effect.never, (exit) => (Exit.hasInterrupts(exit) ? 300 : 0)))
      yield* Fiber.interrupt(gone)
      assert.deepStrictEqual(yield* Effect.flip(quota.check("b")), refusal(1010))
    })
  )

  it.effect("counts what is being read by its deposit, and gives that back", () =>
    Effect.gen(function* () {
      const quota = makeQuota()
      const done = yield* Deferred.make<void>()
      const read = quota.charged("a", 100, Deferred.await(done), () => 1)
      const readers = [yield* fork(read), yield* fork(read)]
      assert.deepStrictEqual(yield* Effect.flip(read), refusal(10))
      yield* Deferred.succeed(done, undefined)
      yield* Effect.forEach(readers, Fiber.join)
      // 2 of 200 are spent.
      yield* quota.charged("a", 0, Effect.void, () => 197)
      yield* quota.check("a")
      yield* quota.charged("a", 0, Effect.void, () => 1)
      assert.deepStrictEqual(yield* Effect.flip(quota.check("a")), refusal(10))
    })
  )

  it.effect("saves up for two seconds", () =>
    Effect.gen(function* () {
      const quota = makeQuota()
      yield* TestClock.adjust("1 hour")
      yield* quota.charged("a", 1, Effect.void, () => 200)
      assert.deepStrictEqual(yield* Effect.flip(quota.check("a")), refusal(10))
    })
  )

  it.effect("forgives the client that was quiet for longest once it remembers 10,000", () =>
    Effect.gen(function* () {
      const quota = makeQuota()
      for (let i = 0; i <= 10_000; i++) yield* quota.charged(`${i}`, 1, Effect.void, () => 300)
      yield* quota.check("0")
      assert.deepStrictEqual(yield* Effect.flip(quota.check("1")), refusal(1010))
    })
  )
})
