import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Socket } from "node:net"
import { DecayingRate } from "../../src/internal/decayingRate.ts"
import { RefusalPace } from "../../src/internal/refusalPace.ts"
import { sliceMillis, Turn } from "../../src/internal/turn.ts"

describe("DecayingRate", () => {
  it("tells what happens a second, soon after it began as well as later, and forgets it", () => {
    const rate = new DecayingRate(2000)
    assert.strictEqual(rate.perSecond(0), 0)
    let now = 0
    for (; now < 500; now += 10) rate.add(now)
    assert.approximately(rate.perSecond(now), 100, 5)
    for (; now < 10_000; now += 10) rate.add(now)
    assert.approximately(rate.perSecond(now), 100, 5)
    assert.isBelow(rate.perSecond(now + 20_000), 0.1)
  })
})

describe("Turn", () => {
  const setUp = () => {
    const turns: Array<() => void> = []
    return { turn: new Turn((run) => turns.push(run)), end: () => turns.splice(0).forEach((run) => run()) }
  }

  it("has time for its slice, from the first that is started until it ends", () => {
    const { end, turn } = setUp()
    assert.deepStrictEqual(
      [0, sliceMillis - 1, sliceMillis].map((now) => turn.hasTime(now)),
      [true, true, false]
    )
    end()
    assert.isTrue(turn.hasTime(sliceMillis))
  })

  it("lets the loop turn again before one that waited while connections come, for a slice at most", () => {
    const { end, turn } = setUp()
    const next = (now: number) => {
      const may = turn.mayRun(now)
      end()
      return may
    }
    assert.isTrue(next(0))
    const came = [0, 1, 1.5, sliceMillis].map((now) => {
      turn.accepted()
      return next(now)
    })
    assert.deepStrictEqual(came, [false, false, false, true])
    turn.accepted()
    assert.deepStrictEqual([next(10), next(10)], [false, true])
  })
})

describe("RefusalPace", () => {
  it.effect("stops reading of who is refused beyond 5000 a second, for a second", () =>
    Effect.gen(function* () {
      const pace = new RefusalPace()
      const running = yield* Effect.forkChild(pace.held.alarm.run, { startImmediately: true })
      const socket = {
        destroyed: false,
        paused: false,
        isPaused: () => socket.paused,
        pause: () => void (socket.paused = true),
        resume: () => void (socket.paused = false)
      }
      const refuse = (times: number, every: number) => {
        for (let i = 0; i < times; i++) pace.refused(socket as unknown as Socket, i * every)
      }
      refuse(4000, 0.25)
      assert.isFalse(socket.paused)
      refuse(8000, 0.1)
      assert.isTrue(socket.paused)
      yield* TestClock.adjust("3 seconds")
      assert.isFalse(socket.paused)
      yield* Fiber.interrupt(running)
    })
  )
})
