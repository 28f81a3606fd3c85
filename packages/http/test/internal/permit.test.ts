import { Admission, LoopPace } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Permit } from "../../src/internal/permit.ts"

/** Writes down what it is told. */
class Spy extends LoopPace.LoopPace {
  readonly log: Array<string> = []
  override begin(now: number): void {
    this.log.push("begin")
    super.begin(now)
  }
  override came(): void {
    this.log.push("came")
    super.came()
  }
  override started(): void {
    this.log.push("started")
    super.started()
  }
  override paused(held: number): void {
    this.log.push(`paused after ${held}`)
    super.paused(held)
  }
  override gone(): void {
    this.log.push("gone")
  }
  override ended(held: number): void {
    this.log.push(`ended after ${held}`)
    super.ended(held)
  }
}

const setUp = () => {
  const time = { now: 0 }
  const turns: Array<() => void> = []
  const pace = new Spy({ target: 20, busyTime: () => 0 })
  const defer = (run: () => void) => void turns.push(run)
  const door = Admission.make({ maxConcurrent: 1, maxQueued: 1, maxWait: 1000, now: () => time.now, pace, defer })
  /** The next turn of the event loop. */
  const turn = () => turns.splice(0).forEach((run) => run())
  const visitor = { admitted: (now: number) => permit.granted(now), refused: () => permit.denied() }
  const permit = new Permit(door, visitor)
  return { time, pace, door, permit, visitor, turn }
}

describe("Permit, and what the pace is told of it", () => {
  it("one comes when its probes have begun, starts, and ends", () => {
    const { pace, permit, time } = setUp()
    permit.ask(time.now)
    permit.leave((time.now = 5), "success")
    permit.leave(time.now, "success")
    assert.deepStrictEqual(pace.log, ["begin", "came", "started", "ended after 5"])
  })

  it("one that waits for its client starts again, and ends once", () => {
    const { door, pace, permit, time, turn, visitor } = setUp()
    permit.ask(time.now)
    assert.isTrue(permit.pause((time.now = 5)))
    assert.isFalse(permit.pause(time.now))
    door.resume(visitor)
    turn()
    turn()
    permit.leave((time.now = 7), "success")
    const log = ["started", "paused after 5", "started", "ended after 2"]
    assert.deepStrictEqual(pace.log.slice(2), log)
  })

  it("one whose client hangs up then has ended, once, and holds nothing", () => {
    const { door, pace, permit, time } = setUp()
    permit.ask(time.now)
    permit.pause((time.now = 5))
    permit.leave(time.now, "abandoned")
    permit.leave(time.now, "abandoned")
    assert.deepStrictEqual(pace.log.slice(2), ["started", "paused after 5", "gone"])
    assert.strictEqual(door.stats.running, 0)
  })

  it("one that was let in and did nothing has not started", () => {
    const { door, pace, permit, time } = setUp()
    permit.ask(time.now)
    permit.release()
    permit.leave((time.now = 5), "abandoned")
    assert.deepStrictEqual(pace.log.slice(2), ["started", "paused after 0"])
    assert.strictEqual(door.stats.running, 0)
  })

  it("one that asks again has not come again", () => {
    const { pace, permit, time } = setUp()
    permit.ask(time.now)
    permit.release()
    permit.askAgain()
    assert.deepStrictEqual(pace.log, ["begin", "came", "started", "paused after 0", "started"])
  })
})
