import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Metric, Schema } from "effect"
import { TestClock } from "effect/testing"
import { resolveShedding } from "../src/internal/shedding.ts"
import * as Bulkhead from "@spillway/runtime/Bulkhead"
import * as RuntimeMetrics from "@spillway/runtime/RuntimeMetrics"

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** An effect inside the bulkhead that ends when it is told to. */
const hold = (bulkhead: Bulkhead.Bulkhead) =>
  Effect.gen(function* () {
    const end = yield* Deferred.make<void>()
    const fiber = yield* start(bulkhead.withPermit(Deferred.await(end)))
    return { fiber, end: Effect.andThen(Deferred.succeed(end, undefined), Fiber.await(fiber)) }
  })

/** How many callers of a bulkhead were refused for a reason. */
const refused = (bulkhead: Bulkhead.Bulkhead, reason: Bulkhead.BulkheadFull["reason"]) =>
  Effect.map(
    Metric.value(Metric.withAttributes(RuntimeMetrics.bulkheadRefused, { bulkhead: bulkhead.name, reason })),
    (state) => state.count
  )

describe("Bulkhead", () => {
  it.effect("runs an effect and gives its permit back", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1 })
      assert.strictEqual(yield* bulkhead.withPermit(Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit: 1 })
    })
  )

  it.effect("refuses a call once permits and queue are taken", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ name: "db", maxConcurrent: 1, maxQueued: 1 })
      const first = yield* hold(bulkhead)
      const second = yield* hold(bulkhead)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 1, queued: 1, limit: 1 })
      const exit = yield* Effect.exit(bulkhead.withPermit(Effect.void))
      const retryAfter = Duration.seconds(1)
      assert.deepStrictEqual(
        exit,
        Exit.fail(new Bulkhead.BulkheadFull({ bulkhead: "db", reason: "QueueFull", limit: 1, queued: 1, retryAfter }))
      )
      yield* first.end
      yield* second.end
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit: 1 })
    })
  )

  it.effect("tells when to come back from the time that permits were held", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1 })
      const measured = yield* start(bulkhead.withPermit(Effect.sleep("3 seconds")))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(measured)
      yield* hold(bulkhead)
      const error = yield* Effect.flip(bulkhead.withPermit(Effect.void))
      assert.deepStrictEqual(error.retryAfter, Duration.seconds(3))
    })
  )

  it.effect("turns a caller away that has waited too long", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 1, maxWait: "2 seconds" })
      const first = yield* hold(bulkhead)
      const waiting = yield* start(Effect.flip(bulkhead.withPermit(Effect.void)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "WaitExceeded")
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 1, queued: 0, limit: 1 })
      yield* first.end
    })
  )

  for (const order of ["fifo", "lifo"] as const) {
    it.effect(`serves waiting callers in ${order} order`, () =>
      Effect.gen(function* () {
        const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 3, order })
        const served: Array<number> = []
        const first = yield* hold(bulkhead)
        const fibers = yield* Effect.forEach([1, 2, 3], (n) =>
          start(bulkhead.withPermit(Effect.sync(() => served.push(n))))
        )
        yield* first.end
        yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual(served, order === "fifo" ? [1, 2, 3] : [3, 2, 1])
      })
    )
  }

  it.effect("takes an interrupted caller out of the queue and never runs it", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 2, maxWait: "1 minute" })
      let ran = false
      const first = yield* hold(bulkhead)
      const waiting = yield* start(bulkhead.withPermit(Effect.sync(() => (ran = true))))
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 1, queued: 0, limit: 1 })
      yield* first.end
      assert.isFalse(ran)
    })
  )

  it.effect("passes on the permit of a caller that is interrupted just as it is admitted", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 2 })
      const first = yield* hold(bulkhead)
      const waiting = yield* start(bulkhead.withPermit(Effect.never))
      const next = yield* start(bulkhead.withPermit(Effect.succeed("next")))
      // The permit comes free, and before the waiting fiber has had its turn to take note it is interrupted.
      first.fiber.interruptUnsafe()
      waiting.interruptUnsafe()
      assert.strictEqual(yield* Fiber.join(next), "next")
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit: 1 })
    })
  )

  it.effect("gives the permit back when the effect fails, dies or is interrupted", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1 })
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.withPermit(Effect.fail("no"))), Exit.fail("no"))
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.withPermit(Effect.die("bug"))), Exit.die("bug"))
      const { fiber } = yield* hold(bulkhead)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit: 1 })
    })
  )

  it.effect("admits waiting callers when it grows and stops admitting when it shrinks", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 2 })
      const held = yield* Effect.forEach([1, 2, 3], () => hold(bulkhead))
      yield* bulkhead.resize(3)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 3, queued: 0, limit: 3 })
      yield* bulkhead.resize(1)
      yield* held[0]!.end
      const fourth = yield* hold(bulkhead)
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 2, queued: 1, limit: 1 })
      yield* held[1]!.end
      yield* held[2]!.end
      yield* fourth.end
      assert.strictEqual((yield* bulkhead.stats).running, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(bulkhead.resize(-1))))
    })
  )

  it("refuses options outside their range", () => {
    const message = "Bulkhead.make: maxConcurrent must be an integer >= 1 or Infinity, got 0"
    assert.throws(() => Bulkhead.make({ maxConcurrent: 0 }), RangeError, message)
    assert.throws(() => Bulkhead.make({ maxConcurrent: 1, maxQueued: -1 }), RangeError)
    assert.throws(() => Bulkhead.make({ maxConcurrent: 1, codel: { target: 0 } }), RangeError, "CoDel.make: target")
    assert.throws(() => Bulkhead.make({ maxConcurrent: 1, codel: { interval: "5 millis" } }), RangeError, "interval")
  })

  it.effect("serves waiting callers of a higher priority first", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 4 })
      const served: Array<string> = []
      const call = (name: string) => Effect.sync(() => served.push(name))
      const first = yield* hold(bulkhead)
      const fibers = [
        yield* start(call("low").pipe(bulkhead.withPermitPriority("low"))),
        yield* start(call("plain").pipe(bulkhead.withPermit)),
        yield* start(call("normal").pipe(bulkhead.withPermitPriority("normal"))),
        yield* start(call("high").pipe(bulkhead.withPermitPriority("high")))
      ]
      yield* first.end
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(served, ["high", "plain", "normal", "low"])
    })
  )

  it.effect("turns the newest of the lowest priority away for a caller of a higher one when the queue is full", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ name: "displacing", maxConcurrent: 1, maxQueued: 2 })
      const low = bulkhead.withPermitPriority("low")
      const first = yield* hold(bulkhead)
      const older = yield* start(low(Effect.succeed("older")))
      const newer = yield* start(low(Effect.succeed("newer")))
      const high = yield* start(bulkhead.withPermitPriority("high")(Effect.succeed("high")))
      const retryAfter = Duration.seconds(1)
      assert.deepStrictEqual(
        yield* Fiber.await(newer),
        Exit.fail(
          new Bulkhead.BulkheadFull({ bulkhead: "displacing", reason: "Displaced", limit: 1, queued: 2, retryAfter })
        )
      )
      assert.strictEqual((yield* Effect.flip(low(Effect.void))).reason, "QueueFull")
      yield* first.end
      assert.deepStrictEqual([yield* Fiber.join(older), yield* Fiber.join(high)], ["older", "high"])
      assert.deepStrictEqual([yield* refused(bulkhead, "Displaced"), yield* refused(bulkhead, "QueueFull")], [1, 1])
    })
  )

  it.effect("lets a caller that is displaced and interrupted at once take nobody's permit", () =>
    Effect.gen(function* () {
      const bulkhead = Bulkhead.make({ maxConcurrent: 1, maxQueued: 1 })
      const first = yield* hold(bulkhead)
      const displaced = yield* start(bulkhead.withPermitPriority("low")(Effect.succeed("low")))
      const high = yield* start(bulkhead.withPermitPriority("high")(Effect.succeed("high")))
      displaced.interruptUnsafe()
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(displaced)))
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 1, queued: 1, limit: 1 })
      yield* first.end
      assert.strictEqual(yield* Fiber.join(high), "high")
      assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit: 1 })
    })
  )

  // Each holds the permit for 20 ms, and all come at once. The interval from 20 to 120 is late throughout.
  for (const [order, served] of [
    ["fifo", [0, 1, 2, 3, 4, 5, 6, 12]],
    ["adaptive", [0, 12, 11, 10, 9, 8, 7, 6]]
  ] as const) {
    it.effect(`sheds callers that waited for too long once it is overloaded, in ${order} order`, () =>
      Effect.gen(function* () {
        const codel = { target: "5 millis", interval: "100 millis" } as const
        const bulkhead = Bulkhead.make({ name: `codel ${order}`, maxConcurrent: 1, maxQueued: 20, order, codel })
        const seen: Array<number> = []
        const fibers = yield* Effect.forEach(Array.from({ length: 13 }).keys(), (n) =>
          start(
            bulkhead.withPermit(Effect.delay(Effect.void, 20).pipe(Effect.tap(() => Effect.sync(() => seen.push(n)))))
          )
        )
        yield* TestClock.adjust("139 millis")
        assert.strictEqual((yield* bulkhead.stats).queued, 6)
        yield* TestClock.adjust("1 milli")
        assert.deepStrictEqual(yield* bulkhead.stats, { running: 1, queued: 0, limit: 1 })
        yield* TestClock.adjust("20 millis")
        const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
        assert.deepStrictEqual(seen, [...served])
        const retryAfter = Duration.millis(20)
        const shed = Exit.fail(
          new Bulkhead.BulkheadFull({ bulkhead: bulkhead.name, reason: "Shed", limit: 1, queued: 0, retryAfter })
        )
        assert.deepStrictEqual(
          exits,
          exits.map((_, n) => (seen.includes(n) ? Exit.void : shed))
        )
        assert.strictEqual(yield* refused(bulkhead, "Shed"), 5)
      })
    )
  }

  // They ask again and again for 50 ms each, so that each of three waits for 100 ms all the time: twice the time of the work.
  for (const [codel, callers, refusals] of [
    [{}, 3, 0],
    [{}, 5, undefined],
    [{ target: "5 millis" }, 3, undefined]
  ] as const) {
    it.effect(
      `sheds by the time that permits are held, unless a target is given: ${JSON.stringify(codel)}, ${callers}`,
      () =>
        Effect.gen(function* () {
          const bulkhead = Bulkhead.make({ name: "follows", maxConcurrent: 1, maxQueued: 20, order: "fifo", codel })
          const before = yield* refused(bulkhead, "Shed")
          const ask = Effect.ignore(bulkhead.withPermit(Effect.sleep("50 millis")))
          const running = yield* Effect.forEach(Array.from({ length: callers }), () =>
            start(Effect.forever(Effect.andThen(ask, Effect.yieldNow)))
          )
          yield* TestClock.adjust("20 seconds")
          yield* Fiber.interruptAll(running)
          const shed = (yield* refused(bulkhead, "Shed")) - before
          if (refusals === undefined) assert.isAbove(shed, 0)
          else assert.strictEqual(shed, refusals)
        })
    )
  }

  it("takes the newest first while the queue is late, where it sheds", () => {
    assert.deepStrictEqual(resolveShedding({}), { order: "fifo", codel: undefined })
    const codel = { maxTarget: 1000, interval: undefined }
    assert.deepStrictEqual(resolveShedding({ codel: {} }), { order: "adaptive", codel })
    assert.strictEqual(resolveShedding({ codel: {}, order: "fifo" }).order, "fifo")
    const given = { target: "2 seconds", interval: "1 minute" } as const
    assert.deepStrictEqual(resolveShedding({ codel: given }).codel, { target: 2000, interval: 60_000 })
  })

  const Caller = Schema.Struct({
    work: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
    interruptAfter: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 })),
    arriveAfter: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 })),
    priority: Schema.Literals(["high", "normal", "low"])
  })

  it.effect.prop(
    "never runs more than its limit, runs nobody twice, and holds nothing in the end",
    {
      callers: Schema.Array(Caller),
      limit: Schema.Literals([1, 2, 3]),
      order: Schema.Literals(["fifo", "lifo", "adaptive"]),
      sheds: Schema.Boolean
    },
    ({ callers, limit, order, sheds }) =>
      Effect.gen(function* () {
        const codel = sheds ? ({ target: "1 milli", interval: "2 millis" } as const) : undefined
        const bulkhead = Bulkhead.make({ maxConcurrent: limit, maxQueued: 4, maxWait: "4 millis", order, codel })
        const runs = callers.map(() => 0)
        let [inside, most] = [0, 0]
        const fibers = yield* Effect.forEach(callers, ({ arriveAfter, interruptAfter, priority, work }, i) => {
          const inner = Effect.acquireUseRelease(
            Effect.sync(() => {
              runs[i]!++
              most = Math.max(most, ++inside)
            }),
            () => Effect.sleep(work),
            () => Effect.sync(() => inside--)
          )
          const call = bulkhead.withPermitPriority(priority)(inner)
          return start(Effect.delay(Effect.timeoutOption(call, interruptAfter), arriveAfter))
        })
        yield* TestClock.adjust("100 millis")
        yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
        assert.isAtMost(most, limit)
        assert.isTrue(runs.every((count) => count <= 1))
        assert.deepStrictEqual(yield* bulkhead.stats, { running: 0, queued: 0, limit })
      }),
    { arbitrary: { runs: 200, size: 40 } }
  )
})
