import { Admission, LoopPace } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"

/** A visitor that writes down what it is told. */
class Guest implements Admission.Visitor {
  readonly name: string
  readonly log: Array<string>
  constructor(name: string, log: Array<string>) {
    this.name = name
    this.log = log
  }
  admitted() {
    this.log.push(`${this.name} admitted`)
  }
  refused(reason: Admission.Refusal) {
    this.log.push(`${this.name} ${reason}`)
  }
}

const setUp = (options: Partial<Admission.Options> = {}) => {
  const log: Array<string> = []
  const turns: Array<() => void> = []
  const time = { now: 0 }
  const door = Admission.make({
    maxConcurrent: 1,
    maxQueued: 1,
    maxWait: 1000,
    now: () => time.now,
    random: () => 0.5,
    defer: (run) => turns.push(run),
    ...options
  })
  return {
    door,
    log,
    time,
    guest: (name: string) => new Guest(name, log),
    /** The next turns of the event loop. One that follows the arrival of somebody who waits starts nothing, to see who has hung up. */
    turn: (times = 1) => {
      for (let i = 0; i < times; i++) turns.splice(0).forEach((run) => run())
    }
  }
}

describe("Admission", () => {
  it("admits up to the limit, queues up to the bound, refuses the rest", () => {
    const { door, guest, log } = setUp()
    assert.isUndefined(door.enter(guest("a")))
    assert.isDefined(door.enter(guest("b")))
    assert.isUndefined(door.enter(guest("c")))
    assert.deepStrictEqual(log, ["a admitted", "c QueueFull"])
    assert.deepStrictEqual(door.stats, { running: 1, queued: 1, resuming: 0, limit: 1 })
  })

  it("hands a permit on in a later turn, in the order of arrival", () => {
    const { door, guest, log, turn } = setUp({ maxQueued: 2 })
    for (const name of ["a", "b", "c"]) door.enter(guest(name))
    door.leave(10)
    turn()
    assert.deepStrictEqual(log, ["a admitted"])
    turn()
    assert.deepStrictEqual(log, ["a admitted", "b admitted"])
    door.leave(10)
    assert.deepStrictEqual(log, ["a admitted", "b admitted"])
    turn()
    assert.deepStrictEqual(log, ["a admitted", "b admitted", "c admitted"])
  })

  it("lets a turn pass between batches, also when visitors leave at once", () => {
    const { door, log, turn } = setUp({ maxConcurrent: 2, maxQueued: 99 })
    class Hasty extends Guest {
      override admitted() {
        super.admitted()
        door.leave(0)
      }
    }
    door.enter(new Guest("a", log))
    door.enter(new Guest("b", log))
    for (let i = 0; i < 40; i++) door.enter(new Hasty(`c${i}`, log))
    door.leave(0)
    door.leave(0)
    turn(2)
    assert.deepStrictEqual([log.length, log.at(-1)], [34, "c31 admitted"])
    turn()
    assert.deepStrictEqual([log.length, log.at(-1)], [42, "c39 admitted"])
    assert.strictEqual(door.stats.running, 0)
  })

  it("frees the place of one that cancels, and never admits it", () => {
    const { door, guest, log, turn } = setUp()
    door.enter(guest("a"))
    const ticket = door.enter(guest("b"))!
    door.cancel(ticket)
    door.enter(guest("c"))
    door.leave(0)
    turn(2)
    assert.deepStrictEqual(log, ["a admitted", "c admitted"])
  })

  it("lets one that resumes pass before those that wait, without counting it against the bound", () => {
    const { door, guest, log, turn } = setUp()
    door.enter(guest("a"))
    door.enter(guest("b"))
    door.pause()
    door.resume(guest("a again"))
    door.enter(guest("c"))
    assert.deepStrictEqual(door.stats, { running: 0, queued: 1, resuming: 1, limit: 1 })
    turn(2)
    door.leave(0)
    turn()
    assert.deepStrictEqual(log, ["a admitted", "c QueueFull", "a again admitted", "b admitted"])
    assert.deepStrictEqual(door.stats, { running: 1, queued: 0, resuming: 0, limit: 1 })
  })

  it("needs no place for one that waits for its turn only, also where permits are shared", () => {
    const budget = {
      free: 1,
      queued: 0,
      take: () => budget.free-- > 0,
      give: () => void budget.free++,
      enqueue: () => false,
      dequeue: () => assert.fail("it had no place"),
      publish: () => false,
      watch: () => Effect.never
    }
    const { door, guest, log, turn } = setUp({ maxConcurrent: 9, maxQueued: 0, budget })
    door.accepted()
    door.enter(guest("a"))
    door.enter(guest("b"))
    assert.deepStrictEqual(log, ["b QueueFull"])
    turn(2)
    assert.deepStrictEqual(log, ["b QueueFull", "a admitted"])
  })

  it.effect("refuses one that has waited for maxWait, but never one that resumes", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const { door, guest, log } = setUp({ maxQueued: 9, now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6 })
      const expiring = yield* Effect.forkChild(door.expire, { startImmediately: true })
      door.enter(guest("a"))
      door.enter(guest("b"))
      door.resume(guest("r"))
      yield* TestClock.adjust(600)
      door.enter(guest("c"))
      yield* TestClock.adjust(399)
      assert.deepStrictEqual(log, ["a admitted"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(log, ["a admitted", "b WaitExceeded"])
      yield* TestClock.adjust(600)
      assert.deepStrictEqual(log, ["a admitted", "b WaitExceeded", "c WaitExceeded"])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(door.stats.resuming, 1)
      yield* Fiber.interrupt(expiring)
    })
  )

  it.effect("starts nobody when it turns away those who have waited too long", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clockWith(Effect.succeed)
      const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const { door, guest, log, turn } = setUp({ maxQueued: 9, now })
      const expiring = yield* Effect.forkChild(door.expire, { startImmediately: true })
      for (const name of ["a", "b"]) door.enter(guest(name))
      yield* TestClock.adjust(600)
      door.enter(guest("c"))
      door.leave(1)
      yield* TestClock.adjust(400)
      assert.deepStrictEqual(log, ["a admitted", "b WaitExceeded"])
      turn(3)
      assert.deepStrictEqual(log, ["a admitted", "b WaitExceeded", "c admitted"])
      yield* Fiber.interrupt(expiring)
    })
  )

  it("turns away so many at once that something else has its turn in between", () => {
    const turns: Array<() => void> = []
    const { door, guest, log, time } = setUp({ maxQueued: 200, defer: (run) => turns.push(run) })
    for (let i = 0; i < 151; i++) door.enter(guest(`${i}`))
    time.now = 1000
    const refused: Array<number> = []
    for (let run = turns.shift(); run !== undefined; run = turns.shift()) {
      const before = log.length
      run()
      if (log.length > before) refused.push(log.length - before)
    }
    assert.deepStrictEqual(refused, [64, 64, 22])
  })

  it("lets one that asks again wait although there is no place", () => {
    const { door, guest, log, turn } = setUp({ maxQueued: 0 })
    door.enter(guest("a"))
    door.pause()
    door.enter(guest("b"))
    assert.isDefined(door.reenter(guest("a again")))
    door.enter(guest("c"))
    door.leave(1)
    turn(2)
    assert.deepStrictEqual(log, ["a admitted", "b admitted", "c QueueFull", "a again admitted"])
  })

  it("tells a Retry-After in which those who were refused lately could be served, from 1 to 60 seconds, jittered", () => {
    const retryAfter = (refusals: number, random = 0) => {
      const { door, guest, time, turn } = setUp({ maxQueued: 0, random: () => random })
      // Ten are served a second, and so many refused meanwhile.
      for (time.now = 0; time.now < 20_000; time.now += 100) {
        door.enter(guest("a"))
        for (let i = 0; i < refusals; i++) door.enter(guest("b"))
        turn()
        door.leave(100)
      }
      return door.retryAfterSeconds()
    }
    assert.deepStrictEqual(
      [0, 0.4, 0.7, 0.99].map((random) => retryAfter(0, random)),
      [1, 1, 2, 3]
    )
    assert.deepStrictEqual(
      [0, 0.5, 0.99].map((random) => retryAfter(4, random)),
      [4, 8, 12]
    )
    assert.strictEqual(retryAfter(99, 0.5), 60)
  })

  it("tells a Retry-After in which those who wait are served, and a permit is free, whatever was paused", () => {
    const retryAfter = (held: number, waiting: number, pauses = 0) => {
      const { door, guest, time, turn } = setUp({ maxQueued: 99 })
      for (time.now = 0; time.now < 20_000; time.now += 100) {
        door.enter(guest("a"))
        turn()
        door.leave(held)
      }
      for (let i = 0; i < pauses; i++) {
        door.enter(guest("b"))
        turn()
        door.pause()
      }
      for (let i = 0; i <= waiting; i++) door.enter(guest("c"))
      return door.retryAfterSeconds()
    }
    assert.strictEqual(retryAfter(1, 0), 1)
    assert.strictEqual(retryAfter(1, 39), 4)
    assert.strictEqual(retryAfter(4500, 0), 5)
    assert.strictEqual(retryAfter(4500, 0, 50), 5)
  })

  it("starts no more in a turn whose handlers have had 2 ms, and what waited and what came meanwhile one after the other", () => {
    const { door, log, time, turn } = setUp({ maxConcurrent: 9, maxQueued: 9 })
    class Busy extends Guest {
      override admitted() {
        super.admitted()
        time.now += 2
      }
    }
    for (const name of ["a", "b", "c"]) door.enter(new Busy(name, log))
    assert.deepStrictEqual(log, ["a admitted"])
    turn(2)
    door.enter(new Busy("d", log))
    assert.deepStrictEqual(log, ["a admitted", "b admitted"])
    turn()
    assert.deepStrictEqual(log, ["a admitted", "b admitted"])
    turn(2)
    assert.deepStrictEqual(log, ["a admitted", "b admitted", "c admitted", "d admitted"])
    turn()
    door.enter(new Busy("e", log))
    assert.strictEqual(log.at(-1), "e admitted")
  })

  it("holds as many as have a permit or a place, of those that come in one turn", () => {
    const { door, log, time } = setUp({ maxConcurrent: 4, maxQueued: 4 })
    class Busy extends Guest {
      override admitted() {
        super.admitted()
        time.now += 2
      }
    }
    for (let i = 0; i < 10; i++) door.enter(new Busy(`${i}`, log))
    assert.deepStrictEqual(log, ["0 admitted", "8 QueueFull", "9 QueueFull"])
  })

  it.effect("tells its pace how late the loop is every 10 ms, as long as somebody is inside", () =>
    Effect.gen(function* () {
      let probes = 0
      const pace = LoopPace.make({ target: 20, busyTime: () => ++probes })
      const { door, guest, time, turn } = setUp({ pace })
      yield* Effect.forkChild(door.expire)
      const pass = Effect.fnUntraced(function* (millis: number) {
        time.now += millis
        yield* TestClock.adjust(millis)
      })
      yield* pass(1000)
      assert.strictEqual(probes, 0)
      door.enter(guest("a"))
      yield* pass(105)
      assert.strictEqual(probes, 11)
      door.leave(105)
      yield* pass(1000)
      assert.strictEqual(probes, 12)
      door.enter(guest("b"))
      yield* pass(25)
      assert.strictEqual(probes, 15)
      turn(2)
      // Nobody is inside while its body is waited for.
      door.pause()
      yield* pass(1000)
      assert.strictEqual(probes, 16)
      door.reenter(guest("b"))
      yield* pass(25)
      assert.strictEqual(probes, 19)
    })
  )

  it.effect("starts one that waits for the pace as soon as there is time for it, though nobody comes or leaves", () =>
    Effect.gen(function* () {
      let busy = 0
      const pace = LoopPace.make({ target: 20, busyTime: () => busy })
      const { door, guest, log, time, turn } = setUp({ maxConcurrent: 9, maxQueued: 9, pace })
      yield* Effect.forkChild(door.expire)
      const pass = Effect.fnUntraced(function* () {
        time.now += 10
        yield* TestClock.adjust(10)
        turn(2)
      })
      for (const name of ["a", "b", "c"]) door.enter(guest(name))
      turn(2)
      for (let i = 0; i < 10; i++) pace.ended(1000)
      for (busy = 500; time.now < 110;) yield* pass()
      assert.strictEqual(pace.cost, 50)
      while (pace.mayStart(time.now, 3, true)) pace.started()
      door.enter(guest("d"))
      turn(2)
      assert.deepStrictEqual(log, ["a admitted", "b admitted", "c admitted"])
      // It needs one of the places, although there are permits.
      for (let i = 0; i < 9; i++) door.enter(guest("e"))
      assert.deepStrictEqual(log.splice(3), ["e QueueFull"])
      while (log.length < 4 && time.now < 1000) yield* pass()
      assert.match(log[3]!, /^[de] admitted$/)
    })
  )

  it("starts as they come those that cost less than half a millisecond, while there is time for them", () => {
    const startedAtOnce = (cost: number | undefined) => {
      let busy = 0
      const pace = LoopPace.make({ target: 20, busyTime: () => busy })
      const { door, log, time, turn } = setUp({ maxConcurrent: 9999, maxQueued: 9999, pace })
      class Light extends Guest {
        override admitted() {
          super.admitted()
          time.now += 0.125
        }
      }
      door.enter(new Light("first", log))
      if (cost !== undefined) {
        for (let i = 0; i < 10; i++) pace.ended(1000)
        busy = 10 * cost
        pace.probe({ now: time.now + 100, late: 0, isWaiting: false, inside: 0, meanHold: 1 })
        time.now += 100
      }
      turn()
      log.splice(0)
      for (let i = 0; i < 2000; i++) door.enter(new Light("light", log))
      return log.filter((line) => line === "light admitted").length
    }
    assert.strictEqual(startedAtOnce(undefined), 16)
    assert.strictEqual(startedAtOnce(0.5), 16)
    // They have 50 ms in a turn.
    assert.closeTo(startedAtOnce(0.25), 400, 10)
  })

  it("sheds what waited for more than twice the target once the queue is late for an interval, and serves the newest", () => {
    const { door, log, time, turn } = setUp({ maxConcurrent: 9, maxQueued: 99, codel: { target: 20, interval: 100 } })
    class Busy extends Guest {
      override admitted() {
        super.admitted()
        time.now += 50
        door.leave(50)
      }
    }
    for (let i = 0; i < 8; i++) {
      for (const name of ["x", "y", "z"]) door.enter(new Busy(`${name}${i}`, log))
      turn(2)
    }
    assert.isAbove(log.filter((line) => line.endsWith("Shed")).length, 5)
    assert.strictEqual(log.at(-1), "z7 admitted")
  })

  it("takes a priority that is none for normal, whatever a client made the program say", () => {
    const { door, log, turn } = setUp({ maxQueued: 9 })
    const enter = (priority: string) => door.enter(Object.assign(new Guest(priority, log), { priority } as object))
    for (const priority of ["normal", "sheddable", "urgent", "constructor", "critical"]) enter(priority)
    for (let i = 0; i < 5; i++) {
      turn(2)
      door.leave(1)
      turn()
    }
    assert.deepStrictEqual(
      log,
      ["normal", "critical", "urgent", "constructor", "sheddable"].map((priority) => `${priority} admitted`)
    )
  })

  it("starts the critical before the normal, and lets the sheddable give way to both", () => {
    const { door, log, turn } = setUp({ maxQueued: 2 })
    const enter = (priority: "critical" | "normal" | "sheddable") =>
      door.enter(Object.assign(new Guest(priority, log), { priority }))
    enter("normal")
    for (const priority of ["sheddable", "sheddable", "normal", "critical", "sheddable"] as const) enter(priority)
    for (let i = 0; i < 3; i++) {
      turn(2)
      door.leave(1)
      turn()
    }
    assert.deepStrictEqual(log, [
      "normal admitted",
      "sheddable QueueFull",
      "sheddable Displaced",
      "sheddable Displaced",
      "critical admitted",
      "normal admitted"
    ])
  })

  it("follows an adaptive limit up to maxConcurrent, and tells it what came of each", () => {
    const told: Array<unknown> = []
    let limit = 2
    const adaptive = {
      get limit() {
        return limit
      },
      record: (...sample: ReadonlyArray<unknown>) => {
        told.push(sample)
        return limit
      }
    }
    const { door, guest, log } = setUp({ maxConcurrent: 3, limit: adaptive, maxQueued: 0 })
    for (const name of ["a", "b", "c"]) door.enter(guest(name))
    assert.strictEqual(log.at(-1), "c QueueFull")
    limit = 5
    door.leave(7, "dropped")
    assert.strictEqual(door.stats.limit, 3)
    limit = 1
    door.leave(8)
    assert.strictEqual(door.stats.limit, 1)
    assert.deepStrictEqual(told, [
      [0, 7, 2, "dropped"],
      [0, 8, 1, "success"]
    ])
  })

  it("refuses for a signal before anything else, and says which", () => {
    const refused: Array<unknown> = []
    const signals = { refuse: (priority: string) => (priority === "critical" ? undefined : "heap") } as never
    const { door, guest, log } = setUp({ signals })
    door.enter(Object.assign(guest("a"), { refused: (...reason: ReadonlyArray<unknown>) => refused.push(reason) }))
    door.enter(Object.assign(guest("b"), { priority: "critical" as const }))
    assert.deepStrictEqual([refused, log], [[["Overloaded", "heap"]], ["b admitted"]])
  })

  it("throws a RangeError that names the field", () => {
    assert.throws(() => setUp({ maxConcurrent: 0 }), RangeError, "maxConcurrent")
    assert.throws(() => setUp({ maxQueued: -1 }), RangeError, "maxQueued")
  })

  it.prop(
    "never has more inside than the limit, and nobody in the end",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })),
      Schema.Array(Schema.Literals([0, 1, 2, 3, 4])).check(Schema.isMaxLength(200))
    ],
    ([limit, steps]) => {
      const { door, turn } = setUp({ maxConcurrent: limit, maxQueued: 3 })
      let inside = 0
      let paused = 0
      const waiting = new Set<Admission.Ticket>()
      const visitor = (): Admission.Visitor => ({ admitted: () => void inside++, refused: () => {} })
      const leave = () => {
        if (inside === 0) return
        inside--
        door.leave(1)
      }
      const actions = [
        () => {
          const ticket = door.enter(visitor())
          if (ticket !== undefined) waiting.add(ticket)
        },
        leave,
        () => {
          for (const ticket of [...waiting].slice(0, 1)) {
            door.cancel(ticket)
            waiting.delete(ticket)
          }
        },
        () => {
          if (inside > 0) {
            inside--
            paused++
            door.pause()
          } else if (paused > 0) {
            paused--
            door.resume(visitor())
          }
        },
        turn
      ]
      for (const step of steps) {
        actions[step]!()
        assert.isAtMost(inside, limit)
        assert.strictEqual(door.stats.running, inside)
        assert.isAtMost(door.stats.queued, 3)
      }
      for (let i = 0; i < 1000 && inside + door.stats.queued + door.stats.resuming > 0; i++) {
        while (inside > 0) leave()
        turn()
      }
      assert.deepStrictEqual(door.stats, { running: 0, queued: 0, resuming: 0, limit })
    }
  )
})
