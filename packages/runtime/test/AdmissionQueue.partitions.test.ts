import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"

const drain = (queue: AdmissionQueue.AdmissionQueue<string>, now: number) => {
  const decided: Array<readonly [string, AdmissionQueue.State]> = []
  for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now))
    decided.push([entry.value, entry.state])
  return decided
}

describe("AdmissionQueue with partitions", () => {
  const make = (options: Partial<AdmissionQueue.Options>) =>
    AdmissionQueue.make<string>({ limit: 4, maxQueued: 8, partitions: [3, 1], ...options })

  it("lends what a partition does not use, and gives it its share although all is lent", () => {
    const queue = make({ limit: 8 })
    for (let i = 0; i < 8; i++) assert.strictEqual(queue.offer("a", 0, 0, 0).state, "Admitted")
    assert.strictEqual(queue.offer("a", 0, 0, 0).state, "Waiting")
    assert.strictEqual(queue.offer("b", 0, 0, 1).state, "Admitted")
    assert.strictEqual(queue.offer("b", 0, 0, 1).state, "Admitted")
    assert.strictEqual(queue.offer("b", 0, 0, 1).state, "Waiting")
    assert.deepStrictEqual([queue.running, queue.queued], [10, 2])
    queue.release(1, 1)
    assert.deepStrictEqual(drain(queue, 0), [["b", "Admitted"]])
  })

  it("serves them by the time that their permits were out, over their shares", () => {
    const served = { a: 0, b: 0 }
    const queue = make({ limit: 1, maxQueued: Infinity })
    const hold = { a: 5, b: 20 }
    for (let i = 0; i < 1000; i++)
      for (const value of ["a", "b"] as const) queue.enqueue(value, 0, 0, value === "a" ? 0 : 1)
    for (let now = 0; now < 2000;) {
      const { partition, value } = queue.poll(now, 1) as AdmissionQueue.Entry<"a" | "b">
      served[value] += hold[value]
      now += hold[value]
      queue.release(hold[value], partition)
    }
    assert.approximately(served.a / served.b, 3, 0.1)
  })

  it("gives one that was idle no claim to what the others had meanwhile", () => {
    const queue = make({ limit: 1, maxQueued: Infinity, partitions: [1, 1] })
    const serve = (times: number) =>
      Array.from({ length: times }, () => {
        const { partition, value } = queue.poll(0, 1)!
        queue.release(10, partition)
        return value
      })
    for (let i = 0; i < 200; i++) queue.enqueue("a", 0, 0, 0)
    serve(100)
    for (let i = 0; i < 100; i++) queue.enqueue("b", 0, 0, 1)
    assert.approximately(serve(20).filter((value) => value === "b").length, 10, 1)
  })

  it("keeps its share of the places for each, at the cost of the newest of the one that has most beyond its own", () => {
    const queue = make({ limit: 0 })
    for (let i = 0; i < 8; i++) queue.enqueue(`a${i}`, 0, 0, 0)
    assert.strictEqual(queue.enqueue("a8", 0, 0, 0).state, "QueueFull")
    assert.deepStrictEqual(
      ["b0", "b1", "b2"].map((value) => queue.enqueue(value, 0, 0, 1).state),
      ["Waiting", "Waiting", "QueueFull"]
    )
    assert.deepStrictEqual(drain(queue, 0), [
      ["a7", "Displaced"],
      ["a6", "Displaced"]
    ])
  })

  it("guarantees one permit where the share is less, and no more than the share rounded down", () => {
    for (const [limit, shares] of [
      [2, [7, 1]],
      [6, [3, 1]]
    ] as const) {
      const queue = make({ limit, partitions: shares })
      for (let i = 0; i < limit; i++) queue.offer("a", 0, 0, 0)
      const states = [1, 2].map(() => queue.offer("b", 0, 0, 1).state)
      assert.deepStrictEqual(states, ["Admitted", "Waiting"])
    }
  })

  it("lets nobody overtake those of its own partition, also below its share", () => {
    const queue = make({ limit: 8 })
    for (let i = 0; i < 8; i++) queue.offer("a", 0, 0, 0)
    for (let i = 0; i < 3; i++) queue.offer(`b${i}`, 0, 0, 1)
    queue.release(1, 1)
    assert.isFalse(queue.tryAcquire(1))
    assert.deepStrictEqual(drain(queue, 0), [["b2", "Admitted"]])
  })

  it("counts what is out for a use of the mean time: nobody gets all permits before the first comes back", () => {
    const queue = make({ maxQueued: Infinity, partitions: [1, 1] })
    for (const partition of [0, 1]) for (let i = 0; i < 4; i++) queue.enqueue(["a", "b"][partition]!, 0, 0, partition)
    const served = drain(queue, 0).map(([value]) => value)
    assert.deepStrictEqual(served.toSorted(), ["a", "a", "b", "b"])
  })

  it("forgets nothing of what one has had for its queue being empty for a moment", () => {
    const queue = make({ limit: 1, partitions: [1, 1] })
    queue.enqueue("a", 0, 0, 0)
    assert.deepStrictEqual(drain(queue, 0), [["a", "Admitted"]])
    queue.release(100, 0)
    for (const partition of [0, 1, 1, 1]) queue.enqueue(["a", "b"][partition]!, 100, 0, partition)
    const served = Array.from({ length: 4 }, () => {
      const { partition, value } = queue.poll(100)!
      queue.release(60, partition)
      return value
    })
    assert.deepStrictEqual(served, ["b", "b", "a", "b"])
  })

  it("gives one that was idle no claim when it gets its first permit at once, either", () => {
    const queue = make({ limit: 2, maxQueued: Infinity, partitions: [1, 1] })
    for (let i = 0; i < 100; i++) {
      queue.offer("a", 0, 0, 0)
      queue.enqueue("a", 0, 0, 0)
      queue.release(10, 0)
      drain(queue, 0)
      queue.release(10, 0)
    }
    for (const partition of [0, 1]) queue.offer("first", 0, 0, partition)
    for (let i = 0; i < 40; i++) for (const partition of [0, 1]) queue.enqueue(["a", "b"][partition]!, 0, 0, partition)
    let last = 1
    const served = Array.from({ length: 20 }, () => {
      queue.release(10, last)
      const { partition, value } = queue.poll(0)!
      last = partition
      return value
    })
    assert.approximately(served.filter((value) => value === "b").length, 10, 1)
  })

  it("puts back and readmits to the partition, and counts its permits there", () => {
    const queue = make({ limit: 4 })
    queue.requeue(queue.offer("b", 0, 0, 1))
    queue.readmit("again", 1)
    assert.deepStrictEqual([queue.running, queue.queued], [0, 2])
    for (const value of ["b", "again"]) {
      const entry = queue.poll(0)!
      assert.deepStrictEqual([entry.value, entry.partition, entry.state], [value, 1, "Admitted"])
    }
    for (let i = 0; i < 2; i++) queue.release(1, 1)
    assert.throws(() => queue.release(1, 1), RangeError, "no permit is out")
  })

  it("takes a place only for one with less than its share, from the one with most beyond its own", () => {
    const queue = make({ limit: 0, partitions: [2, 1, 1] })
    const enqueue = (value: string, partition: number) => queue.enqueue(value, 0, 0, partition).state
    for (let i = 0; i < 5; i++) enqueue(`a${i}`, 0)
    for (let i = 0; i < 3; i++) enqueue(`b${i}`, 1)
    assert.deepStrictEqual([enqueue("b3", 1), enqueue("c0", 2), enqueue("c1", 2)], ["QueueFull", "Waiting", "Waiting"])
    assert.deepStrictEqual(
      drain(queue, 0).map(([value]) => value),
      ["a4", "b2"]
    )
    assert.strictEqual(enqueue("c2", 2), "QueueFull")
  })

  it("refuses one that has its share although another has more than its own", () => {
    const queue = make({ limit: 0, partitions: [2, 1, 1] })
    for (let i = 0; i < 6; i++) queue.enqueue("a", 0, 0, 0)
    const states = [0, 1, 2].map(() => queue.enqueue("b", 0, 0, 1).state)
    assert.deepStrictEqual(states, ["Waiting", "Waiting", "QueueFull"])
    assert.strictEqual(queue.enqueue("c", 0, 0, 2).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["a", "Displaced"]])
  })

  it("counts in the share of places nobody that has been inside", () => {
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 4, partitions: [1, 1] })
    // Has a place fewer than its share, and two that need none.
    for (const value of ["a again", "a again too"]) queue.readmit(value, 0)
    queue.enqueue("a", 0, 0, 0)
    for (const value of ["b1", "b2", "b3"]) queue.enqueue(value, 0, 0, 1)
    assert.strictEqual(queue.enqueue("a2", 0, 0, 0).state, "Waiting")
    assert.strictEqual(queue.poll(0, 0)?.value, "b3")
    assert.strictEqual(queue.enqueue("a3", 0, 0, 0).state, "QueueFull")
  })

  it("displaces nobody that has been inside, however many of them wait", () => {
    const queue = make({ limit: 0, maxQueued: 3, partitions: [1, 1, 1] })
    for (let i = 0; i < 9; i++) queue.readmit("inside", 0)
    for (let i = 0; i < 3; i++) queue.enqueue(`b${i}`, 0, 0, 1)
    assert.strictEqual(queue.enqueue("c", 0, 0, 2).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["b2", "Displaced"]])
  })

  it("finds the one that waited longest in any of them", () => {
    for (const [first, second] of [
      [0, 1],
      [1, 0]
    ] as const) {
      const queue = make({ limit: 0, maxWait: 100 })
      queue.enqueue("second", 10, 0, second)
      queue.enqueue("first", 5, 0, first)
      assert.deepStrictEqual([queue.waitingSince, queue.nextExpiry()], [5, 105])
      assert.deepStrictEqual(drain(queue, 105), [["first", "WaitExceeded"]])
      queue.enqueue("third", 20, 0, first)
      assert.strictEqual(queue.evict()?.value, "second")
    }
  })

  it("judges the queue of each for itself", () => {
    const queue = make({ limit: 1, maxQueued: 99, codel: {}, partitions: [1, 1] })
    const shed: Record<string, number> = { a: 0, b: 0 }
    for (let now = 0; now < 2000; now += 5) {
      for (let i = 0; i < 4; i++) queue.enqueue("a", now, 0, 0)
      if (now % 20 === 0) queue.enqueue("b", now, 0, 1)
      for (let entry = queue.poll(now, 1); entry !== undefined; entry = queue.poll(now, 1)) {
        if (entry.state !== "Admitted") {
          shed[entry.value]!++
          continue
        }
        queue.release(5, entry.partition)
        break
      }
    }
    assert.isAbove(shed["a"]!, 1000)
    assert.strictEqual(shed["b"], 0)
  })

  it("guarantees no more permits than there are, however many partitions there are", () => {
    const queue = make({ limit: 4, partitions: Array.from({ length: 50 }, () => 1) })
    for (let i = 0; i < 4; i++) assert.strictEqual(queue.offer("first", 0, 0, 0).state, "Admitted")
    const states = Array.from({ length: 49 }, (_, i) => queue.offer("other", 0, 0, i + 1).state)
    assert.deepStrictEqual([states.filter((state) => state === "Admitted").length, queue.running], [3, 7])
  })

  it("takes nothing from a partition that has whole permits for those whose share is less than one", () => {
    const queue = make({ limit: 4, partitions: [100, 1, 1, 1] })
    for (const partition of [1, 2, 3]) assert.isTrue(queue.tryAcquire(partition))
    const got = Array.from({ length: 4 }, () => queue.tryAcquire(0))
    assert.deepStrictEqual([got, queue.running], [[true, true, true, false], 6])
  })

  it("guarantees one permit in each of as many partitions as there are permits", () => {
    const queue = make({ limit: 49, partitions: Array.from({ length: 49 }, () => 1) })
    for (let i = 0; i < 49; i++) queue.offer("first", 0, 0, 0)
    const got = Array.from({ length: 48 }, (_, i) => queue.tryAcquire(i + 1))
    assert.deepStrictEqual([got.includes(false), queue.guarantees(1)], [false, false])
  })

  it("guarantees the whole of a share that is a whole number, where a fraction is not exact", () => {
    const queue = make({ limit: 100, maxQueued: 100, partitions: [29, 71] })
    for (let i = 0; i < 100; i++) queue.offer("a", 0, 0, 1)
    const states = Array.from({ length: 30 }, () => queue.offer("b", 0, 0, 0).state)
    assert.deepStrictEqual([states.indexOf("Waiting"), states.lastIndexOf("Admitted")], [29, 28])
  })

  it("lets one that comes take no guarantee that another partition waits for", () => {
    const queue = make({ limit: 2, partitions: [1, 1, 1, 1] })
    for (const partition of [0, 0, 1]) assert.isTrue(queue.tryAcquire(partition))
    queue.enqueue("waits", 0, 0, 2)
    queue.release(1, 1)
    assert.deepStrictEqual([queue.guarantees(3), queue.tryAcquire(3)], [false, false])
    assert.deepStrictEqual(drain(queue, 0), [["waits", "Admitted"]])
    queue.release(1, 2)
    assert.deepStrictEqual([queue.guarantees(3), queue.tryAcquire(3)], [true, true])
  })

  it("gives each of more partitions than permits its turn, although one holds on to all that it got", () => {
    const queue = make({ limit: 3, maxQueued: Infinity, partitions: Array.from({ length: 12 }, () => 1) })
    for (let i = 0; i < 3; i++) queue.offer("holds", 0, 0, 0)
    for (let i = 0; i < 24; i++) queue.enqueue(`${1 + (i % 11)}`, 0, 0, 1 + (i % 11))
    const served: Array<string> = []
    const inside: Array<number> = []
    for (let now = 0; now < 110; now += 10) {
      for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) {
        served.push(entry.value)
        inside.push(entry.partition)
      }
      for (const partition of inside.splice(0)) queue.release(10, partition)
    }
    assert.strictEqual(new Set(served.slice(0, 11)).size, 11)
  })

  it("displaces in another partition none that is more urgent", () => {
    const queue = make({ limit: 0, maxQueued: 4, priorities: 3, partitions: [1, 1] })
    for (const [value, priority] of [
      ["a normal", 1],
      ["a critical", 0],
      ["a newest critical", 0],
      ["a newest normal", 1]
    ] as const) {
      queue.enqueue(value, 0, priority, 0)
    }
    assert.strictEqual(queue.enqueue("b sheddable", 0, 2, 1).state, "QueueFull")
    for (const value of ["b0", "b1"]) assert.strictEqual(queue.enqueue(value, 0, 1, 1).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [
      ["a newest normal", "Displaced"],
      ["a normal", "Displaced"]
    ])
  })

  it("keeps the places of the critical from what is less urgent, and its share of them for the critical of each", () => {
    const queue = make({ limit: 0, maxQueued: 4, priorities: 3, partitions: [1, 1] })
    for (let i = 0; i < 4; i++) queue.enqueue(`a${i}`, 0, 0, 0)
    const states = [2, 1, 0, 0, 0].map((priority) => queue.enqueue("b", 0, priority, 1).state)
    assert.deepStrictEqual(states, ["QueueFull", "QueueFull", "Waiting", "Waiting", "QueueFull"])
    assert.deepStrictEqual(drain(queue, 0), [
      ["a3", "Displaced"],
      ["a2", "Displaced"]
    ])
  })

  it("looks for a place in the next partition where that with most beyond its share has only the more urgent", () => {
    const queue = make({ limit: 0, maxQueued: 9, priorities: 2, partitions: [1, 1, 1] })
    for (let i = 0; i < 5; i++) queue.enqueue("a", 0, 0, 0)
    for (let i = 0; i < 4; i++) queue.enqueue(`b${i}`, 0, 1, 1)
    assert.strictEqual(queue.enqueue("c", 0, 1, 2).state, "Waiting")
    assert.deepStrictEqual(drain(queue, 0), [["b3", "Displaced"]])
  })

  it("refuses shares outside their range", () => {
    for (const partitions of [[], [0], [1, -1], [Infinity], [Number.NaN]]) {
      assert.throws(() => AdmissionQueue.make({ limit: 1, maxQueued: 1, partitions }), RangeError, "partitions")
    }
  })
})

describe("AdmissionQueue invariants with partitions and a budget", () => {
  const count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  const Operation = Schema.Struct({
    kind: Schema.Literals(["offer", "enqueue", "readmit", "release", "requeue", "cancel", "pass"]),
    nth: count(9),
    partition: count(2),
    priority: count(2)
  })
  type Entry = AdmissionQueue.Entry<number>

  const shares = [4, 2, 1]
  const wholeParts = (limit: number) => shares.map((share) => Math.floor((share * limit) / 7))

  it.prop(
    "keeps each its share, serves while it can, and gives back each permit and each place once",
    { limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })), operations: Schema.Array(Operation) },
    ({ limit, operations }) => {
      const out = { permits: 0, places: 0 }
      const budget: AdmissionQueue.Budget = {
        queued: 0,
        take: () => ++out.permits > 0,
        give: () => void out.permits--,
        enqueue: () => ++out.places > 0,
        dequeue: () => void out.places--
      }
      const maxQueued = 7
      const queue = AdmissionQueue.make<number>({
        limit,
        maxQueued,
        maxWait: 90,
        order: "adaptive",
        priorities: 3,
        partitions: shares,
        codel: { target: 5, interval: 30 },
        budget
      })
      const permits = wholeParts(limit)
      /** Permits for the partitions whose part is less than a whole one. */
      const rest = permits.reduce((left, part) => left - part, limit)
      const entries: Array<Entry> = []
      const inside: Array<Entry> = []
      let now = 0
      const note = (entry: Entry) => {
        entries.push(entry)
        if (entry.state === "Admitted") inside.push(entry)
        return entry
      }
      const leave = (nth: number, go: (entry: Entry) => void) => {
        for (const entry of inside.splice(nth, 1)) go(entry)
      }
      const apply = ({ kind, nth, partition, priority }: typeof Operation.Type) => {
        if (kind === "offer") note(queue.offer(entries.length, now, priority, partition))
        else if (kind === "enqueue") note(queue.enqueue(entries.length, now, priority, partition))
        else if (kind === "readmit") note(queue.readmit(entries.length, partition))
        else if (kind === "release") leave(nth, (entry) => queue.release(5, entry.partition))
        else if (kind === "requeue") leave(nth, (entry) => queue.requeue(entry))
        else if (kind === "pass") now += 3 * nth
        else {
          const entry = entries.at(-1 - nth)
          if (entry === undefined) return
          queue.cancel(entry)
        }
      }
      const check = () => {
        for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) {
          if (entry.state === "Admitted") inside.push(entry)
        }
        const waiting = entries.filter(({ state }) => state === "Waiting")
        assert.deepStrictEqual([queue.queued, queue.running], [waiting.length, inside.length])
        assert.strictEqual(queue.readmitting, waiting.filter(({ offeredAt }) => offeredAt === Infinity).length)
        assert.strictEqual(out.permits, inside.length)
        assert.isAtMost(out.places, maxQueued)
        if (waiting.length === 0) assert.strictEqual(out.places, 0)
        else assert.isAtLeast(queue.running, limit)
        const running = shares.map((_, partition) => inside.filter((entry) => entry.partition === partition).length)
        const small = running.filter((own, partition) => permits[partition] === 0 && own > 0).length
        for (const partition of new Set(waiting.map(({ partition }) => partition))) {
          assert.isAtLeast(running[partition]!, permits[partition]! || Number(small < rest))
        }
        assert.isBelow(queue.running, 2 * limit)
      }
      for (const operation of operations) {
        apply(operation)
        check()
      }
      while (inside.length > 0) {
        leave(0, (entry) => queue.release(5, entry.partition))
        check()
      }
      assert.deepStrictEqual([queue.running, queue.queued, out.permits, out.places], [0, 0, 0, 0])
    },
    { arbitrary: { runs: 500, size: 80 } }
  )
})

describe("AdmissionQueue invariants with any number of partitions", () => {
  const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Operation = Schema.Struct({
    kind: Schema.Literals(["offer", "enqueue", "release", "release", "poll"]),
    nth: count(0, 99),
    priority: count(0, 2)
  })

  /** Of the permits that are out, how many are nobody's guarantee: the whole part of each, and one of the rest for those with none. */
  const borrowed = (limit: number, parts: ReadonlyArray<number>, running: ReadonlyArray<number>) => {
    const rest = parts.reduce((left, part) => left - part, limit)
    const small = running.filter((out, partition) => parts[partition] === 0 && out > 0).length
    const own = running.reduce((sum, out, partition) => sum + Math.min(out, parts[partition]!), 0)
    return running.reduce((sum, out) => sum + out, 0) - own - Math.min(small, rest)
  }

  it.prop(
    "lets in above the limit only what makes up for what others have borrowed, and displaces nothing more urgent",
    {
      limit: count(1, 12),
      shares: Schema.Array(count(1, 20)).check(Schema.isMinLength(2), Schema.isMaxLength(40)),
      operations: Schema.Array(Operation)
    },
    ({ limit, operations, shares }) => {
      const queue = AdmissionQueue.make<null>({ limit, maxQueued: 6, priorities: 3, partitions: shares })
      const sum = shares.reduce((total, share) => total + share, 0)
      const parts = shares.map((share) => Math.floor((share * limit) / sum))
      const running = shares.map(() => 0)
      const inside: Array<number> = []
      const admitted = ({ partition }: AdmissionQueue.Entry<null>) => {
        const before = borrowed(limit, parts, running)
        running[partition]!++
        inside.push(partition)
        assert.strictEqual(queue.running, inside.length)
        const after = borrowed(limit, parts, running)
        if (inside.length > limit) assert.strictEqual(after, before)
        assert.isAtMost(after, limit - 1)
      }
      const decide = (newest: AdmissionQueue.Entry<null> | undefined) => {
        const entry = queue.poll(0)
        if (entry?.state === "Admitted") admitted(entry)
        else if (entry !== undefined) assert.isAtLeast(entry.priority, newest!.priority)
      }
      for (const { kind, nth, priority } of operations) {
        const partition = nth % shares.length
        if (kind === "poll") decide(undefined)
        else if (kind === "release") {
          for (const left of inside.splice(nth % (inside.length + 1), 1)) {
            running[left]!--
            queue.release(nth, left)
          }
        } else {
          const entry = queue[kind](null, 0, priority, partition)
          if (entry.state === "Admitted") admitted(entry)
          else decide(entry)
        }
      }
    },
    { arbitrary: { runs: 1000, size: 100 } }
  )
})
