import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as CoDel from "@spillway/runtime/CoDel"

/** A queue that was 20 ms late for the whole first interval, `[0, 100)`, and is found overloaded by its first entry at 100. */
const overloaded = () => {
  const codel = CoDel.make()
  for (const now of [0, 50, 99, 100]) assert.strictEqual(codel.dequeued(20, now), "serve")
  assert.isTrue(codel.overloaded(100))
  return codel
}

describe("CoDel", () => {
  it("has the defaults of folly", () => {
    assert.deepStrictEqual(CoDel.defaults, { target: 5, interval: 100 })
  })

  it("serves everything in the first interval, however late it is", () => {
    const codel = CoDel.make()
    for (let now = 0; now < 100; now++) assert.strictEqual(codel.dequeued(1000, now), "serve")
    assert.isFalse(codel.overloaded(99))
  })

  it("sheds what waited for more than twice the target, once a whole interval was late", () => {
    const codel = overloaded()
    assert.strictEqual(codel.dequeued(10.001, 101), "shed")
    assert.strictEqual(codel.dequeued(10, 102), "serve")
  })

  it("does not shed the first of an interval", () => {
    const codel = overloaded()
    assert.strictEqual(codel.dequeued(20, 199), "shed")
    assert.strictEqual(codel.dequeued(20, 200), "serve")
    assert.strictEqual(codel.dequeued(20, 200), "shed")
  })

  it("ends the overload after an interval with one delay at the target", () => {
    const codel = overloaded()
    codel.dequeued(5, 150)
    assert.isTrue(codel.overloaded(199))
    codel.dequeued(20, 200)
    assert.isFalse(codel.overloaded(200))
    assert.strictEqual(codel.dequeued(20, 201), "serve")
    const stillLate = overloaded()
    stillLate.dequeued(5.001, 150)
    stillLate.dequeued(20, 200)
    assert.isTrue(stillLate.overloaded(200))
  })

  it("counts the first delay of an interval in that interval", () => {
    const codel = overloaded()
    codel.dequeued(0, 200)
    assert.isTrue(codel.overloaded(200))
    codel.dequeued(20, 300)
    assert.isFalse(codel.overloaded(300))
  })

  it("stays overloaded while it sheds, however short the other delays, until the queue was empty", () => {
    const codel = overloaded()
    assert.strictEqual(codel.dequeued(11, 150), "shed")
    codel.dequeued(1, 151)
    assert.strictEqual(codel.dequeued(1, 200), "serve")
    assert.isTrue(codel.overloaded(200))
    assert.strictEqual(codel.dequeued(11, 250), "shed")
    codel.empty()
    codel.dequeued(20, 300)
    assert.isFalse(codel.overloaded(300))
    const unloaded = overloaded()
    assert.strictEqual(unloaded.dequeued(11, 150), "shed")
    for (const now of [200, 250, 300]) assert.strictEqual(unloaded.dequeued(1, now), "serve")
    assert.isFalse(unloaded.overloaded(300))
  })

  it("takes a queue that was found empty for a delay of 0", () => {
    const codel = overloaded()
    codel.empty()
    codel.dequeued(20, 200)
    assert.isFalse(codel.overloaded(200))
  })

  it("ends the overload when nothing was dequeued for an interval", () => {
    const codel = overloaded()
    assert.isTrue(codel.overloaded(299.9))
    assert.isFalse(codel.overloaded(300))
    codel.dequeued(1000, 300)
    assert.isFalse(codel.overloaded(300))
    assert.strictEqual(codel.dequeued(1000, 301), "serve")
    const shortPause = overloaded()
    shortPause.dequeued(1000, 299)
    assert.strictEqual(shortPause.dequeued(1000, 300), "shed")
  })

  it("counts a delay below 0 as 0", () => {
    const codel = overloaded()
    assert.strictEqual(codel.dequeued(-Infinity, 150), "serve")
    assert.strictEqual(codel.dequeued(20, 200), "serve")
    assert.isFalse(codel.overloaded(200))
  })

  it("uses the target and the interval that it is given", () => {
    const codel = CoDel.make({ target: 50, interval: 1000 })
    for (const now of [0, 999, 1000]) codel.dequeued(51, now)
    assert.deepStrictEqual([codel.dequeued(100, 1001), codel.dequeued(101, 1002)], ["serve", "shed"])
  })

  it("refuses options outside their range", () => {
    const bad: ReadonlyArray<[CoDel.Options, string]> = [
      [{ target: 0 }, "target must be a finite number of milliseconds > 0, got 0"],
      [{ target: NaN }, "target must be a finite number of milliseconds > 0, got NaN"],
      [{ target: Infinity }, "target must be a finite number of milliseconds > 0, got Infinity"],
      [{ interval: 5 }, "interval must be a finite number of milliseconds > target (5), got 5"],
      [{ interval: Infinity }, "interval must be a finite number of milliseconds > target (5), got Infinity"]
    ]
    for (const [options, message] of bad) {
      assert.throws(() => CoDel.make(options), RangeError, `CoDel.make: ${message}`)
    }
  })

  const Dequeue = Schema.Struct({
    pass: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
    delay: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 25 }))
  })

  it.prop(
    "sheds only above twice the target, while late for a whole interval or shedding without an empty queue",
    { dequeues: Schema.Array(Dequeue) },
    ({ dequeues }) => {
      const codel = CoDel.make()
      let [now, start, late, sheds] = [0, -Infinity, false, 0]
      let delays: Array<number> = []
      for (const { delay, pass } of dequeues) {
        now += pass
        const isFirst = now >= start + 100
        if (isFirst) {
          const isStanding = delays.length > 0 && delays.every((other) => other > (sheds > 0 ? 0 : 5))
          late = isStanding && now < start + 200
          ;[start, sheds, delays] = [now, 0, []]
        }
        delays.push(delay)
        const verdict = late && !isFirst && delay > 10 ? "shed" : "serve"
        if (verdict === "shed") sheds++
        assert.strictEqual(codel.dequeued(delay, now), verdict)
        assert.strictEqual(codel.overloaded(now), late)
      }
    },
    { arbitrary: { runs: 500, size: 60 } }
  )
})
