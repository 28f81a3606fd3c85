import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AdmissionQueue } from "@spillway/runtime"

const drain = (queue: AdmissionQueue.AdmissionQueue<string>, now: number) => {
  const decided: Array<readonly [string, AdmissionQueue.State]> = []
  for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now))
    decided.push([entry.value, entry.state])
  return decided
}

describe("AdmissionQueue", () => {
  it("admits up to the limit, queues up to the bound, refuses the rest", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1 })
    assert.strictEqual(queue.offer("a", 0).state, "Admitted")
    assert.strictEqual(queue.offer("b", 0).state, "Waiting")
    assert.strictEqual(queue.offer("c", 0).state, "QueueFull")
    assert.deepStrictEqual([queue.running, queue.queued], [1, 1])
  })

  it("serves the one that waited longest first", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2 })
    for (const value of ["a", "b", "c"]) queue.offer(value, 0)
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["b", "Admitted"]])
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["c", "Admitted"]])
  })

  it("serves the newest first when the order is lifo", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2, order: "lifo" })
    for (const value of ["a", "b", "c"]) queue.offer(value, 0)
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["c", "Admitted"]])
  })

  it("does not let a newcomer overtake those who wait", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2 })
    queue.offer("a", 0)
    queue.offer("b", 0)
    queue.release()
    assert.isFalse(queue.tryAcquire())
    assert.strictEqual(queue.offer("c", 0).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["b", "Admitted"]])
  })

  it("refuses entries whose wait is over, before it admits others", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2, maxWait: 100 })
    queue.offer("a", 0)
    queue.offer("b", 10)
    queue.offer("c", 50)
    assert.strictEqual(queue.nextExpiry(), 110)
    assert.deepStrictEqual(drain(queue, 109), [])
    queue.release()
    assert.deepStrictEqual(drain(queue, 110), [
      ["b", "WaitExceeded"],
      ["c", "Admitted"]
    ])
    assert.strictEqual(queue.nextExpiry(), Infinity)
  })

  it("takes a cancelled entry out and cannot cancel one that is decided", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 3 })
    const admitted = queue.offer("a", 0)
    const [b, c] = [queue.offer("b", 0), queue.offer("c", 0)]
    assert.isTrue(queue.cancel(b))
    assert.isFalse(queue.cancel(b))
    assert.isFalse(queue.cancel(admitted))
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["c", "Admitted"]])
    assert.strictEqual(c.state, "Admitted")
  })

  it("serves the most urgent class first", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 3, priorities: 3 })
    queue.offer("running", 0)
    queue.offer("low", 0, 2)
    queue.offer("high", 0, 0)
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["high", "Admitted"]])
  })

  it("displaces the newest of the least urgent class when it is full", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 2, priorities: 3 })
    queue.offer("old", 0, 2)
    queue.offer("new", 0, 2)
    assert.strictEqual(queue.offer("urgent", 0, 0).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["new", "Displaced"]])
    assert.strictEqual(queue.offer("same", 0, 2).state, "QueueFull")
    assert.strictEqual(queue.queued, 2)
  })

  it("admits more when it grows and fewer when it shrinks", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 3 })
    for (const value of ["a", "b", "c"]) queue.offer(value, 0)
    queue.resize(2)
    assert.deepStrictEqual(drain(queue, 0), [["b", "Admitted"]])
    queue.resize(1)
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [])
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["c", "Admitted"]])
  })

  it("keeps the turn of those who wait when it closes, unless it is to refuse them", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 3 })
    for (const value of ["a", "b", "c"]) queue.offer(value, 0)
    queue.close()
    assert.strictEqual(queue.offer("d", 0).state, "Closed")
    assert.isFalse(queue.tryAcquire())
    queue.release()
    assert.deepStrictEqual(drain(queue, 0), [["b", "Admitted"]])
    queue.close("refuse")
    assert.deepStrictEqual(drain(queue, 0), [["c", "Closed"]])
  })

  it("evicts the one that waited longest", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 3, priorities: 2 })
    queue.offer("first", 1, 1)
    queue.offer("second", 2, 0)
    assert.deepStrictEqual([queue.evict()?.value, queue.evict()?.value, queue.evict()], ["first", "second", undefined])
  })

  it("estimates the wait of the next from the time that permits are held", () => {
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 9 })
    assert.strictEqual(queue.retryAfter(), 1000)
    queue.offer("a", 0)
    queue.release(100)
    assert.strictEqual(queue.retryAfter(), 50)
    for (let i = 0; i < 5; i++) queue.offer("b", 0)
    assert.strictEqual(queue.retryAfter(), (4 * 100) / 2)
  })

  it("refuses options outside their range", () => {
    const bad: ReadonlyArray<[Partial<AdmissionQueue.Options>, string]> = [
      [{ limit: -1 }, "limit must be an integer >= 0 or Infinity, got -1"],
      [{ limit: 1.5 }, "limit must be an integer >= 0 or Infinity, got 1.5"],
      [{ maxQueued: NaN }, "maxQueued must be an integer >= 0 or Infinity, got NaN"],
      [{ maxWait: -1 }, "maxWait must be >= 0 milliseconds, got -1"],
      [{ priorities: 0 }, "priorities must be an integer >= 1, got 0"]
    ]
    for (const [options, message] of bad) {
      const make = () => AdmissionQueue.make({ limit: 1, maxQueued: 1, ...options })
      assert.throws(make, RangeError, `AdmissionQueue.make: ${message}`)
    }
    assert.throws(() => AdmissionQueue.make({ limit: 1, maxQueued: 1 }).release(), RangeError, "no permit is out")
  })

  const Operation = Schema.Union([
    Schema.TaggedStruct("offer", { priority: Schema.Literals([0, 1, 2]) }),
    Schema.TaggedStruct("release", {}),
    Schema.TaggedStruct("cancel", { nth: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })) }),
    Schema.TaggedStruct("resize", { limit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })) }),
    Schema.TaggedStruct("pass", { millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })) })
  ])

  /** What the queue says must be what a plain list of all entries says, after every operation. */
  it.prop(
    "never exceeds its limit, loses nothing and decides each entry once",
    { operations: Schema.Array(Operation), order: Schema.Literals(["fifo", "lifo"]) },
    ({ operations, order }) => {
      const queue = AdmissionQueue.make<number>({ limit: 2, maxQueued: 3, maxWait: 50, order, priorities: 3 })
      const entries: Array<AdmissionQueue.Entry<number>> = []
      const admitted = new Set<AdmissionQueue.Entry<number>>()
      let [now, released, admissions] = [0, 0, 0]
      const note = (entry: AdmissionQueue.Entry<number>) => {
        assert.notStrictEqual(entry.state, "Waiting")
        if (entry.state !== "Admitted") return
        assert.isFalse(admitted.has(entry))
        admitted.add(entry)
        admissions++
        assert.isAtMost(queue.running, queue.limit)
      }
      const settle = () => {
        for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) note(entry)
      }
      for (const operation of operations) {
        if (operation._tag === "offer") {
          const entry = queue.offer(entries.length, now, operation.priority)
          entries.push(entry)
          if (entry.state === "Admitted") note(entry)
        } else if (operation._tag === "release" && queue.running > 0) {
          queue.release(1)
          released++
        } else if (operation._tag === "cancel" && entries[operation.nth] !== undefined) {
          const entry = entries[operation.nth]!
          const waits = entry.state === "Waiting"
          assert.strictEqual(queue.cancel(entry), waits)
        } else if (operation._tag === "resize") queue.resize(operation.limit)
        else if (operation._tag === "pass") now += operation.millis
        settle()
        const waiting = entries.filter((entry) => entry.state === "Waiting")
        assert.strictEqual(queue.queued, waiting.length)
        assert.isAtMost(queue.queued, 3)
        assert.strictEqual(queue.running, admissions - released)
        for (const entry of waiting) assert.isBelow(now - entry.offeredAt, 50)
        if (waiting.length > 0) assert.isAtLeast(queue.running, queue.limit)
      }
    },
    { arbitrary: { runs: 500, size: 60 } }
  )
})
