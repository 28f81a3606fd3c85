import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { Deadlines } from "../../src/internal/deadlines.ts"
import type { Expiring } from "../../src/internal/expiryList.ts"
import type { Linked } from "../../src/internal/linkedList.ts"
import { monotonicMillis } from "../../src/internal/monotonic.ts"

class Item implements Expiring {
  previous: Linked | undefined = undefined
  next: Linked | undefined = undefined
  dueAt = Infinity
  readonly expire: () => void
  constructor(expire: () => void) {
    this.expire = expire
  }
}

const now = Effect.map(Clock.Clock, monotonicMillis)

/** Deadlines of at most 10 s, whose items write down when they expire. */
const setUp = Effect.gen(function* () {
  const deadlines = new Deadlines(10_000)
  const expired: Array<readonly [string, number]> = []
  const clock = yield* Clock.Clock
  yield* Effect.forEach(deadlines.alarms, (alarm) => Effect.forkScoped(alarm, { startImmediately: true }))
  const begun = yield* now
  const add = (name: string, patience?: number) => {
    const at = monotonicMillis(clock)
    const item = new Item(() => void expired.push([name, monotonicMillis(clock) - begun]))
    deadlines.add(item, at, patience)
    return item
  }
  return { add, deadlines, expired }
})

describe("Deadlines", () => {
  it.effect("expire at the time of the server, or at that of the client if it is shorter", () =>
    Effect.gen(function* () {
      const { add, expired } = yield* setUp
      add("usual")
      add("longer", 20_000)
      add("shorter", 7)
      yield* TestClock.adjust(6)
      assert.deepStrictEqual(expired, [])
      yield* TestClock.adjust(4)
      assert.deepStrictEqual(expired, [["shorter", 10]])
      yield* TestClock.adjust(9_990)
      assert.deepStrictEqual(expired.slice(1), [
        ["usual", 10_000],
        ["longer", 10_000]
      ])
    })
  )

  it.effect("keep those that wait for several turns of the wheel, and each of many to 5 ms", () =>
    Effect.gen(function* () {
      const { add, expired } = yield* setUp
      const patiences = [0, 1, 4, 5, 6, 1279, 1280, 1281, 2560, 5000, 9999]
      for (const patience of patiences) add(String(patience), patience)
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(
        expired.map(([name]) => Number(name)),
        patiences
      )
      for (const [name, at] of expired) assert.isTrue(at >= Number(name) && at <= Number(name) + 5, `${name} at ${at}`)
    })
  )

  it.effect("expire at the next look when their time passes between two looks", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(3)
      const { add, expired } = yield* setUp
      add("late", 4)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(expired, [["late", 10]])
    })
  )

  it.live("expire all that is due after the event loop stood still", () =>
    Effect.gen(function* () {
      const { add, expired } = yield* setUp
      for (let patience = 10; patience <= 100; patience += 10) add(String(patience), patience)
      yield* Effect.yieldNow
      for (const end = performance.now() + 200; performance.now() < end;);
      yield* Effect.repeat(Effect.sleep(1), { until: () => expired.length > 0 })
      assert.strictEqual(expired.length, 10)
    })
  )

  it.effect(
    "forget what is taken out, also by another that expires with it, and begin again when there was nothing",
    () =>
      Effect.gen(function* () {
        const { add, deadlines, expired } = yield* setUp
        const gone = add("gone", 9_000)
        deadlines.remove(gone)
        deadlines.remove(gone)
        assert.isTrue(deadlines.turning)
        yield* TestClock.adjust("2 seconds")
        assert.isFalse(deadlines.turning)
        const other = { item: undefined as Item | undefined }
        const killer = new Item(() => deadlines.remove(other.item!))
        deadlines.add(killer, yield* now, 20)
        other.item = add("other", 20)
        yield* TestClock.adjust(30)
        assert.deepStrictEqual(expired, [])
        yield* TestClock.adjust("1 hour")
        add("again", 12)
        yield* TestClock.adjust(20)
        assert.deepStrictEqual(
          expired.map(([name]) => name),
          ["again"]
        )
      })
  )
})
