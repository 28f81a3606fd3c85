import { Admission } from "@spillway/http"
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
    random: () => 0,
    defer: (run) => turns.push(run),
    ...options
  })
  return {
    door,
    log,
    time,
    guest: (name: string) => new Guest(name, log),
    /** The next turn of the event loop. */
    turn: () => turns.splice(0).forEach((run) => run())
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

  it("hands a permit on in the next turn, in the order of arrival", () => {
    const { door, guest, log, turn } = setUp({ maxQueued: 2 })
    for (const name of ["a", "b", "c"]) door.enter(guest(name))
    door.leave(10)
    assert.deepStrictEqual(log, ["a admitted"])
    turn()
    assert.deepStrictEqual(log, ["a admitted", "b admitted"])
    door.leave(10)
    turn()
    assert.deepStrictEqual(log, ["a admitted", "b admitted", "c admitted"])
  })

  it("lets a turn pass between batches, also when visitors leave at once", () => {
    const { door, log, turn } = setUp({ maxConcurrent: 2, maxQueued: 10 })
    class Hasty extends Guest {
      override admitted() {
        super.admitted()
        door.leave(0)
      }
    }
    door.enter(new Guest("a", log))
    door.enter(new Guest("b", log))
    for (const name of ["c", "d", "e", "f"]) door.enter(new Hasty(name, log))
    door.leave(0)
    door.leave(0)
    turn()
    assert.deepStrictEqual(log.slice(2), ["c admitted", "d admitted"])
    turn()
    assert.deepStrictEqual(log.slice(2), ["c admitted", "d admitted", "e admitted", "f admitted"])
    assert.strictEqual(door.stats.running, 0)
  })

  it("frees the place of one that cancels, and never admits it", () => {
    const { door, guest, log, turn } = setUp()
    door.enter(guest("a"))
    const ticket = door.enter(guest("b"))!
    door.cancel(ticket)
    door.enter(guest("c"))
    door.leave(0)
    turn()
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
    turn()
    door.leave(0)
    turn()
    assert.deepStrictEqual(log, ["a admitted", "c QueueFull", "a again admitted", "b admitted"])
    assert.deepStrictEqual(door.stats, { running: 1, queued: 0, resuming: 0, limit: 1 })
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

  it("tells a Retry-After from the time that permits are held, from 1 to 60 seconds, jittered", () => {
    const { door, guest } = setUp({ maxQueued: 9 })
    door.enter(guest("a"))
    door.leave(10)
    assert.strictEqual(door.retryAfterSeconds(), 1)
    for (let i = 0; i < 200; i++) {
      door.enter(guest("b"))
      door.leave(4000)
    }
    assert.strictEqual(door.retryAfterSeconds(), 4)
    const jittered = setUp({ random: () => 1 })
    jittered.door.enter(jittered.guest("a"))
    jittered.door.leave(100_000)
    assert.strictEqual(jittered.door.retryAfterSeconds(), 60)
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
