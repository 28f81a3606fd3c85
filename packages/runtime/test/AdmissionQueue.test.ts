import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"

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

  it("gives the place of the one that is displaced to the one that comes, whatever others of the budget want", () => {
    let free = 1
    const budget = {
      take: () => false,
      give: () => {},
      queued: 0,
      enqueue: () => free > 0 && free-- > 0,
      dequeue: () => void free++
    }
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 9, priorities: 2, budget })
    queue.offer("low", 0, 1)
    assert.strictEqual(free, 0)
    // Another queue would take each place in the moment in which it is given back.
    budget.dequeue = () => assert.fail("a place was given back")
    assert.strictEqual(queue.offer("high", 0, 0).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["low", "Displaced"]])
    budget.dequeue = () => void free++
    queue.evict()
    assert.strictEqual(free, 1)
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

  it("admits nobody once it is closed, also when a permit is free", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 3 })
    queue.close()
    assert.isFalse(queue.tryAcquire())
    assert.deepStrictEqual([queue.offer("a", 0).state, queue.enqueue("b", 0).state], ["Closed", "Closed"])
  })

  it("needs no place for what is not bounded, which then takes one from those that come after it", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 1 })
    const states = [true, false, false, true].map((bounded) => queue.enqueue("a", 0, 0, 0, bounded).state)
    assert.deepStrictEqual(states, ["Waiting", "Waiting", "Waiting", "QueueFull"])
    assert.strictEqual(queue.queued, 3)
  })

  it("takes a priority outside of its classes for the nearest", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 2, priorities: 2 })
    assert.deepStrictEqual([queue.offer("a", 0, 7).priority, queue.offer("b", 0, -1).priority], [1, 0])
  })

  it("takes a priority between two classes for the less urgent, and one that is no number for the least", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 9, priorities: 3 })
    const priorities = [0.5, -0.5, 1.01, 2.5, Infinity, -Infinity, Number.NaN]
    assert.deepStrictEqual(
      priorities.map((priority) => queue.enqueue("a", 0, priority).priority),
      [1, 0, 2, 2, 2, 0, 2]
    )
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
    // What was not used says nothing of how long the next will take.
    queue.release()
    assert.deepStrictEqual([queue.meanHold, queue.running], [100, 1])
    queue.resize(0)
    assert.strictEqual(queue.retryAfter(), 1000)
  })

  it("changes the bound of the queue and turns nobody out for it", () => {
    const queue = AdmissionQueue.make<string>({ limit: 0, maxQueued: 2 })
    for (const value of ["a", "b"]) queue.offer(value, 0)
    queue.resize(0, 1)
    assert.deepStrictEqual([queue.queued, queue.maxQueued, drain(queue, 0)], [2, 1, []])
    assert.strictEqual(queue.offer("c", 0).state, "QueueFull")
    queue.resize(0, 3)
    assert.strictEqual(queue.offer("d", 0).state, "Waiting")
    queue.resize(1)
    assert.deepStrictEqual([queue.limit, queue.maxQueued], [1, 3])
    assert.throws(
      () => queue.resize(-1),
      RangeError,
      "AdmissionQueue.resize: limit must be an integer >= 0 or Infinity"
    )
    assert.throws(() => queue.resize(1, 0.5), RangeError, "AdmissionQueue.resize: maxQueued must be an integer >= 0")
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
})

describe("AdmissionQueue.requeue", () => {
  it("gives the permit back and puts the entry before the others of its class", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2 })
    const a = queue.offer("a", 7)
    for (const value of ["b", "c"]) queue.offer(value, 8)
    queue.requeue(a)
    assert.deepStrictEqual([a.state, a.offeredAt, queue.running, queue.queued], ["Waiting", 7, 0, 3])
    assert.deepStrictEqual(drain(queue, 9), [["a", "Admitted"]])
    queue.release()
    assert.deepStrictEqual(drain(queue, 9), [["b", "Admitted"]])
  })

  for (const order of ["fifo", "lifo", "adaptive"] as const) {
    it(`keeps those that come back in the order of their offers when the order is ${order}`, () => {
      const queue = AdmissionQueue.make<string>({ limit: 3, maxQueued: 3, order, priorities: 2 })
      const [a, b, c] = ["a", "b", "c"].map((value) => queue.offer(value, 0, 1))
      queue.offer("new", 0, 1)
      queue.offer("urgent", 0, 0)
      for (const entry of [b, c, a]) queue.requeue(entry!)
      queue.resize(5)
      assert.deepStrictEqual(
        drain(queue, 0).map(([value]) => value),
        ["urgent", "a", "b", "c", "new"]
      )
    })
  }

  it("lets the queue grow beyond its bound and turns nobody out for it", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1, priorities: 2 })
    const a = queue.offer("a", 0, 0)
    queue.offer("b", 0, 1)
    queue.resize(0)
    queue.requeue(a)
    assert.deepStrictEqual([drain(queue, 0), queue.queued], [[], 2])
    assert.strictEqual(queue.offer("c", 0, 1).state, "QueueFull")
  })

  it("can be displaced, cancelled and evicted like any other", () => {
    const queue = AdmissionQueue.make<string>({ limit: 3, maxQueued: 0, priorities: 2 })
    const [a, b, c] = ["a", "b", "c"].map((value) => queue.offer(value, 0, 1))
    queue.resize(0)
    for (const entry of [a, b, c]) queue.requeue(entry!)
    assert.strictEqual(queue.offer("urgent", 0, 0).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["c", "Displaced"]])
    assert.isTrue(queue.cancel(b!))
    assert.strictEqual(queue.evict(), a)
    assert.deepStrictEqual([queue.queued, a!.state, b!.state], [1, "Evicted", "Cancelled"])
  })

  it("refuses the entry when its longest wait is over by then", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1, maxWait: 100 })
    const a = queue.offer("a", 0)
    queue.requeue(a)
    assert.strictEqual(queue.nextExpiry(), 100)
    assert.deepStrictEqual(drain(queue, 100), [["a", "WaitExceeded"]])
  })

  it("keeps the turn of the entry in a queue that is closed, unless it is to refuse", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1 })
    const a = queue.offer("a", 0)
    queue.close()
    queue.requeue(a)
    assert.deepStrictEqual(drain(queue, 0), [["a", "Admitted"]])
    queue.close("refuse")
    queue.requeue(a)
    assert.deepStrictEqual([drain(queue, 0), queue.running], [[["a", "Closed"]], 0])
  })

  it("takes only an entry that is admitted", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1 })
    queue.offer("a", 0)
    const b = queue.offer("b", 0)
    const message = "AdmissionQueue.requeue: the entry must be Admitted, got Waiting"
    assert.throws(() => queue.requeue(b), RangeError, message)
    assert.deepStrictEqual([queue.running, queue.queued], [1, 1])
  })
})

describe("AdmissionQueue with CoDel", () => {
  /** A queue with one permit that was late by 20 ms or more from 20 to 120, with `values` waiting since 100. */
  const overloaded = (options: Partial<AdmissionQueue.Options>, values: ReadonlyArray<string>) => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 99, codel: {}, ...options })
    for (const value of ["1", "2", "3"]) queue.offer(value, 0)
    for (const now of [20, 70]) {
      queue.release(50)
      assert.deepStrictEqual(
        drain(queue, now).map(([, state]) => state),
        ["Admitted"]
      )
    }
    for (const value of values) queue.offer(value, 100)
    queue.release(50)
    return queue
  }

  it("sheds those that waited for more than twice the target while overloaded, but not the last", () => {
    const queue = overloaded({}, ["a", "b", "c", "d"])
    assert.isFalse(queue.overloaded(119))
    assert.deepStrictEqual(drain(queue, 120), [["a", "Admitted"]])
    assert.isTrue(queue.overloaded(120))
    queue.release(5)
    assert.deepStrictEqual(drain(queue, 125), [
      ["b", "Shed"],
      ["c", "Shed"],
      ["d", "Admitted"]
    ])
    assert.deepStrictEqual([queue.running, queue.queued], [1, 0])
  })

  it("serves what waited for twice the target", () => {
    const queue = overloaded({}, ["a"])
    assert.deepStrictEqual(drain(queue, 120), [["a", "Admitted"]])
    for (const value of ["b", "c"]) queue.offer(value, 130)
    queue.release(20)
    assert.deepStrictEqual(drain(queue, 140), [["b", "Admitted"]])
  })

  it("sheds nothing after a permit was taken without a wait", () => {
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 9, codel: {} })
    const step = (now: number, ...values: ReadonlyArray<string>) => {
      queue.release()
      const decided = drain(queue, now)
      for (const value of values) queue.offer(value, now)
      return decided
    }
    for (const value of ["1", "2", "3"]) queue.offer(value, 0)
    step(20) // "3" starts the interval from 20 to 120, with a delay of 20
    queue.release()
    assert.isTrue(queue.tryAcquire())
    for (const value of ["4", "5", "6", "7"]) queue.offer(value, 100)
    assert.deepStrictEqual(step(120), [["4", "Admitted"]])
    assert.isFalse(queue.overloaded(120))
    assert.deepStrictEqual(step(125), [["5", "Admitted"]])
  })

  it("judges and sheds by the entry that waited longest, also when the newest is served", () => {
    const queue = overloaded({ order: "lifo" }, ["a", "b", "c"])
    assert.deepStrictEqual(drain(queue, 120), [["c", "Admitted"]])
    queue.offer("new", 124)
    queue.release(5)
    assert.deepStrictEqual(drain(queue, 125), [
      ["a", "Shed"],
      ["b", "Shed"],
      ["new", "Admitted"]
    ])
  })

  it("sheds what the more urgent keep waiting, before them", () => {
    const queue = overloaded({ priorities: 2 }, ["a", "b"])
    queue.offer("low", 101, 1)
    assert.deepStrictEqual(drain(queue, 120), [["a", "Admitted"]])
    for (const value of ["c", "d"]) queue.offer(value, 124, 0)
    queue.release(5)
    assert.deepStrictEqual(drain(queue, 125), [
      ["low", "Shed"],
      ["b", "Shed"],
      ["c", "Admitted"]
    ])
  })

  it("sheds and turns round no class that is not late itself, however late the less urgent ones are", () => {
    const queue = AdmissionQueue.make<string>({
      limit: 1,
      maxQueued: 999,
      priorities: 2,
      order: "adaptive",
      codel: { target: 5, interval: 100 }
    })
    queue.offer("first", 0, 0)
    const served: Array<string> = []
    const shed: Array<string> = []
    // Each takes 10 ms. Of the urgent two come every 40 ms, so that the second waits for 10 or 20; of the others four every 10 ms.
    for (let now = 0; now < 4000; now += 10) {
      if (now % 40 === 0) for (const name of ["a", "b"]) queue.offer(`${name}${now}`, now, 0)
      for (let i = 0; i < 4; i++) queue.offer("low", now, 1)
      queue.release(10)
      for (const [value, state] of drain(queue, now)) (state === "Admitted" ? served : shed).push(value)
    }
    assert.isAbove(shed.length, 1000)
    assert.deepStrictEqual(
      shed.filter((value) => value !== "low"),
      []
    )
    const urgent = served.filter((value) => value !== "low" && value !== "first")
    assert.deepStrictEqual(urgent.slice(0, 4), ["a0", "b0", "a40", "b40"])
    assert.strictEqual(urgent.length, 200)
  })

  it("serves the oldest first and, once one has waited for more than twice the target, the newest when the order is adaptive", () => {
    const queue = overloaded({ order: "adaptive" }, ["a", "b"])
    assert.deepStrictEqual(drain(queue, 110), [["a", "Admitted"]])
    const late = overloaded({ order: "adaptive" }, ["a", "b"])
    assert.deepStrictEqual(drain(late, 111), [["b", "Admitted"]])
  })

  it("serves the newest first while overloaded, although none is late, when the order is adaptive", () => {
    const queue = overloaded({ order: "adaptive" }, ["a"])
    assert.deepStrictEqual(drain(queue, 120), [["a", "Admitted"]])
    for (const value of ["b", "c"]) queue.offer(value, 125)
    queue.release(5)
    assert.deepStrictEqual(drain(queue, 130), [["c", "Admitted"]])
  })

  it("takes the mean time that permits are held for the target where that is longer, up to a bound", () => {
    const states = (maxTarget: number) => {
      const queue = overloaded({ codel: { maxTarget } }, ["a", "b", "c"])
      drain(queue, 120)
      queue.release(50)
      return drain(queue, 170).map(([, state]) => state)
    }
    assert.deepStrictEqual(states(0), ["Shed", "Admitted"])
    assert.deepStrictEqual(states(50), ["Admitted"])
  })

  it("takes the target that was given while permits are held for a shorter time", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 99, codel: { maxTarget: 50 } })
    queue.offer("inside", 0)
    for (let now = 4; now <= 300; now += 4) {
      for (const value of ["a", "b"]) queue.offer(value, now - 4)
      for (const at of [now, now]) {
        queue.release(1)
        assert.deepStrictEqual(
          drain(queue, at).map(([, state]) => state),
          ["Admitted"]
        )
      }
    }
  })

  it("stretches target and interval together, and no further than the bound", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 99, codel: { maxTarget: 10 } })
    for (let i = 0; i < 9; i++) queue.offer("a", 0)
    // Held for 50 ms, but at most twice the target: 10 ms, and an interval of 200.
    const states = [20, 120, 125, 219, 220, 225].map((now) => {
      queue.release(50)
      return drain(queue, now).map(([, state]) => state)
    })
    assert.deepStrictEqual(states.slice(0, 5).flat(), ["Admitted", "Admitted", "Admitted", "Admitted", "Admitted"])
    assert.deepStrictEqual(states[5], ["Shed", "Shed", "Admitted"])
  })

  it("sheds nothing for which its owner has room, and decides nothing else while there is none", () => {
    const queue = AdmissionQueue.make<string>({ limit: 9, maxQueued: 9, codel: {} })
    for (const value of ["1", "2", "3", "4", "5", "6"]) queue.enqueue(value, 0)
    assert.strictEqual(queue.poll(20, 0), undefined)
    const states = (
      [
        [20, 1],
        [70, 1],
        [120, 1],
        [121, 9],
        [122, 1],
        [123, 1]
      ] as const
    ).map(([now, room]) => queue.poll(now, room)?.state)
    assert.deepStrictEqual(states, ["Admitted", "Admitted", "Admitted", "Admitted", "Shed", "Admitted"])
  })

  it("sheds nothing when the order is adaptive and no codel is asked for", () => {
    const queue = overloaded({ order: "adaptive", codel: undefined }, ["a", "b", "c"])
    for (const [now, value] of [
      [120, "c"],
      [125, "b"],
      [130, "a"]
    ] as const) {
      assert.deepStrictEqual(drain(queue, now), [[value, "Admitted"]])
      queue.release(5)
    }
  })

  it("neither counts nor sheds an entry that came back", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 9, codel: {} })
    const a = queue.offer("a", 0)
    for (let now = 1000; now <= 1200; now += 5) {
      // The new one has not waited at all. The other has, for 1000 ms and more, but not for a permit.
      const fresh = queue.offer("new", now)
      queue.requeue(a)
      assert.deepStrictEqual(drain(queue, now), [["a", "Admitted"]])
      assert.isFalse(queue.overloaded(now))
      queue.cancel(fresh)
    }
    const late = overloaded({}, ["a", "b"])
    assert.deepStrictEqual(drain(late, 120), [["a", "Admitted"]])
    late.release(5)
    assert.deepStrictEqual(drain(late, 121), [["b", "Admitted"]])
    const again = late.offer("again", 121)
    late.release(5)
    assert.deepStrictEqual(drain(late, 122), [["again", "Admitted"]])
    for (const value of ["c", "d"]) late.offer(value, 125)
    late.requeue(again)
    assert.deepStrictEqual(drain(late, 135), [["again", "Admitted"]])
  })

  it("refuses options of CoDel outside their range", () => {
    assert.throws(() => AdmissionQueue.make({ limit: 1, maxQueued: 1, codel: { target: 0 } }), RangeError, "CoDel.make")
  })

  /** Random numbers from 0 to 1 that are the same in every run (mulberry32). */
  const seeded = (seed: number) => () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** 32 permits held for 8 ms in the mean, so 4000 a second, and `load` times as many offers for 20 s. Both come at random. */
  const simulate = (load: number, options: Partial<AdmissionQueue.Options>) => {
    const random = seeded(1)
    const exponential = (mean: number) => -Math.log(1 - random()) * mean
    const queue = AdmissionQueue.make<number>({ limit: 32, maxQueued: 4000, ...options })
    const ends: Array<number> = []
    const waits: Array<number> = []
    let refused = 0
    const note = (entry: AdmissionQueue.Entry<number>, now: number) => {
      if (entry.state === "Admitted") {
        waits.push(now - entry.offeredAt)
        ends.push(now + entry.value)
        ends.sort((a, b) => a - b)
      } else refused++
    }
    for (let next = 0; next < 20_000;) {
      const end = ends[0]
      if (end !== undefined && end <= next) {
        queue.release(8)
        ends.shift()
        for (let entry = queue.poll(end); entry !== undefined; entry = queue.poll(end)) note(entry, end)
        continue
      }
      const entry = queue.offer(exponential(8), next)
      if (entry.state !== "Waiting") note(entry, next)
      next += exponential(8 / 32 / load)
    }
    waits.sort((a, b) => a - b)
    const [p90, p99] = [0.9, 0.99].map((share) => waits[Math.floor(waits.length * share)]!)
    return { p90: p90!, p99: p99!, served: waits.length, refused }
  }

  it("keeps the waits of those it serves short under twice the load, and serves as many", () => {
    const fifo = simulate(2, {})
    const adaptive = simulate(2, { order: "adaptive", codel: {} })
    assert.isAbove(fifo.p99, 900)
    assert.isBelow(adaptive.p99, 50)
    assert.isBelow(adaptive.p90, 5)
    assert.isAbove(adaptive.served, fifo.served * 0.98)
  })

  it("sheds nothing under four fifths of the load that it can carry", () => {
    const { refused, served } = simulate(0.8, { order: "adaptive", codel: {} })
    assert.deepStrictEqual([refused, served > 60_000], [0, true])
  })
})

describe("AdmissionQueue.readmit", () => {
  it("comes before all that have not been inside, and is neither bounded, shed, displaced nor too late", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1, maxWait: 100, codel: {}, priorities: 2 })
    queue.offer("inside", 0)
    queue.offer("new", 0, 1)
    const entries = ["a", "b"].map((value) => queue.readmit(value))
    assert.deepStrictEqual([queue.queued, queue.readmitting], [3, 2])
    assert.strictEqual(queue.offer("urgent", 1, 0).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 1), [["new", "Displaced"]])
    assert.strictEqual(queue.offer("more", 1, 0).state, "QueueFull")
    assert.strictEqual(queue.nextExpiry(), 101)
    queue.release(1)
    assert.deepStrictEqual(drain(queue, 1000), [
      ["urgent", "WaitExceeded"],
      ["a", "Admitted"]
    ])
    assert.strictEqual(queue.cancel(entries[1]!), true)
    assert.deepStrictEqual([queue.queued, queue.readmitting], [0, 0])
  })

  it("comes before the most urgent, and leaves the places to wait to others", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 1, priorities: 2 })
    queue.offer("inside", 0)
    queue.readmit("a")
    assert.strictEqual(queue.offer("urgent", 1, 0).state, "Waiting")
    queue.release(1)
    assert.deepStrictEqual(drain(queue, 1), [["a", "Admitted"]])
    assert.deepStrictEqual([queue.queued, queue.readmitting], [1, 0])
  })

  it("is counted again when it comes back by requeue", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 0 })
    const a = queue.readmit("a")
    assert.deepStrictEqual(drain(queue, 0), [["a", "Admitted"]])
    queue.requeue(a)
    assert.deepStrictEqual([queue.queued, queue.readmitting], [1, 1])
    assert.deepStrictEqual(drain(queue, 0), [["a", "Admitted"]])
    assert.strictEqual(queue.readmitting, 0)
  })

  it("is refused only by close", () => {
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 0 })
    assert.strictEqual(queue.readmit("a").state, "Waiting")
    assert.strictEqual(queue.readmit("b").state, "Waiting")
    queue.close()
    assert.deepStrictEqual(drain(queue, 5), [["a", "Admitted"]])
    queue.close("refuse")
    assert.deepStrictEqual(drain(queue, 5), [["b", "Closed"]])
  })
})

describe("AdmissionQueue invariants", () => {
  const count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Operation = Schema.Union([
    Schema.TaggedStruct("offer", { priority: Schema.Literals([0, 1, 2]) }),
    Schema.TaggedStruct("release", { nth: count(3) }),
    Schema.TaggedStruct("requeue", { nth: count(3) }),
    Schema.TaggedStruct("cancel", { nth: count(40) }),
    Schema.TaggedStruct("evict", {}),
    Schema.TaggedStruct("resize", { limit: count(4), maxQueued: count(6) }),
    Schema.TaggedStruct("pass", { millis: count(40) })
  ])
  type Operation = typeof Operation.Type
  type Entry = AdmissionQueue.Entry<number>

  /** Drives a queue and compares what it says with plain lists of all entries, after every operation. */
  class Model {
    readonly order: AdmissionQueue.Order
    readonly queue: AdmissionQueue.AdmissionQueue<number>
    readonly entries: Array<Entry> = []
    readonly inside: Array<Entry> = []
    /** How often each entry came out of the queue, and how often it was put back. */
    readonly outs: Array<number> = []
    readonly returns: Array<number> = []
    now = 0

    constructor(order: AdmissionQueue.Order, codel: AdmissionQueue.Options["codel"]) {
      this.order = order
      this.queue = AdmissionQueue.make<number>({ limit: 2, maxQueued: 4, maxWait: 90, order, priorities: 3, codel })
    }

    waiting(): ReadonlyArray<Entry> {
      return this.entries.filter((entry) => entry.state === "Waiting")
    }

    apply(operation: Operation) {
      const { inside, queue } = this
      if (operation._tag === "offer") this.offer(operation.priority)
      else if (operation._tag === "pass") this.now += operation.millis
      else if (operation._tag === "resize") queue.resize(operation.limit, operation.maxQueued)
      else if (operation._tag === "evict") {
        const oldest = Math.min(...this.waiting().map((entry) => entry.offeredAt))
        const entry = queue.evict()
        assert.strictEqual(entry?.offeredAt ?? Infinity, oldest)
        if (entry !== undefined) this.out(entry)
      } else if (operation._tag === "cancel") {
        const entry = this.entries[operation.nth]
        if (entry === undefined) return
        const waits = entry.state === "Waiting"
        assert.strictEqual(queue.cancel(entry), waits)
        if (waits) this.out(entry)
      } else {
        const entry = inside[operation.nth]
        if (entry === undefined) return
        inside.splice(operation.nth, 1)
        if (operation._tag === "release") return queue.release(1)
        queue.requeue(entry)
        this.returns[entry.value]!++
      }
    }

    offer(priority: number) {
      const before = this.queue.queued
      const entry = this.queue.offer(this.entries.length, this.now, priority)
      this.entries.push(entry)
      this.outs.push(0)
      this.returns.push(0)
      assert.isAtMost(this.queue.queued, Math.max(before, this.queue.maxQueued))
      if (entry.state !== "Waiting") this.out(entry)
    }

    out(entry: Entry) {
      this.outs[entry.value]!++
      if (entry.state !== "Admitted") return
      this.inside.push(entry)
      assert.isAtMost(this.queue.running, this.queue.limit)
    }

    /** Polls until nothing is left to do, and checks that each decision is the right one among those that waited. */
    settle() {
      const { now, queue } = this
      for (let waited = this.waiting(), entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) {
        if (entry.state === "Admitted") this.checkTurn(entry, waited)
        if (entry.state === "Shed") this.checkShed(entry, waited)
        this.out(entry)
        waited = this.waiting()
      }
    }

    checkTurn(entry: Entry, waited: ReadonlyArray<Entry>) {
      const mostUrgent = Math.min(...waited.map((other) => other.priority))
      const rivals = waited.filter((other) => other.priority === mostUrgent).map((other) => other.value)
      const returned = rivals.filter((value) => this.returns[value]! > 0)
      const late = waited.some(
        (other) => other.priority === mostUrgent && this.returns[other.value] === 0 && this.now - other.offeredAt > 10
      )
      const isOverloaded = this.queue.overloaded(this.now, 0, mostUrgent)
      const newestFirst = this.order === "lifo" || (this.order === "adaptive" && (late || isOverloaded))
      if (returned.length > 0) assert.strictEqual(entry.value, Math.min(...returned))
      else assert.strictEqual(entry.value, newestFirst ? Math.max(...rivals) : Math.min(...rivals))
    }

    checkShed(entry: Entry, waited: ReadonlyArray<Entry>) {
      const fresh = waited.filter((other) => this.returns[other.value] === 0)
      assert.isTrue(this.queue.overloaded(this.now))
      assert.isAbove(this.now - entry.offeredAt, 10)
      assert.include(fresh, entry)
      const late = fresh.filter((other) => this.now - other.offeredAt > 10)
      assert.strictEqual(entry.priority, Math.max(...late.map((other) => other.priority)))
      const rivals = late.filter((other) => other.priority === entry.priority)
      assert.strictEqual(entry.offeredAt, Math.min(...rivals.map((other) => other.offeredAt)))
      assert.isAbove(waited.length, this.queue.limit - this.queue.running)
    }

    check() {
      const { now, queue } = this
      const waiting = this.waiting()
      assert.strictEqual(queue.queued, waiting.length)
      assert.strictEqual(queue.running, this.inside.length)
      for (const { state, value } of this.entries) {
        assert.strictEqual(this.outs[value], this.returns[value]! + (state === "Waiting" ? 0 : 1))
      }
      for (const entry of waiting) assert.isBelow(now - entry.offeredAt, 90)
      if (waiting.length > 0) assert.isAtLeast(queue.running, queue.limit)
    }
  }

  it.prop(
    "never exceeds its limit, serves by the order, and decides each entry once for each time that it waits",
    {
      operations: Schema.Array(Operation),
      order: Schema.Literals(["fifo", "lifo", "adaptive"]),
      sheds: Schema.Boolean,
      waiting: Schema.Literals(["keep", "refuse"])
    },
    ({ operations, order, sheds, waiting }) => {
      const model = new Model(order, sheds ? { target: 5, interval: 30 } : undefined)
      const step = (operation: Operation) => {
        model.apply(operation)
        model.settle()
        model.check()
      }
      operations.forEach(step)
      model.queue.close(waiting)
      model.queue.resize(1)
      step({ _tag: "requeue", nth: 0 })
      while (model.inside.length > 0) step({ _tag: "release", nth: 0 })
      assert.deepStrictEqual([model.queue.running, model.queue.queued], [0, 0])
    },
    { arbitrary: { runs: 1000, size: 80 } }
  )
})
