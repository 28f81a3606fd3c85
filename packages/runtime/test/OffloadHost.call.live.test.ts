import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { OffloadHost } from "@spillway/runtime"
import type { Offload } from "@spillway/runtime"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { set, start, startLoop, stats, succeeded, until, valueOf } from "./fixtures/hostLoops.ts"

describe("OffloadHost, one call", () => {
  /** Long enough for a thread to notice its signal on a busy machine. */
  const options = { killGrace: "2 seconds" } as const

  it.live("fails with the declared error of a task, and dies of its defects", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make())
      assert.deepStrictEqual(yield* loop.call("refuse", { why: "closed" }), { type: "refused", why: "closed" })
      const broken = yield* loop.call("throw", { message: "broken" })
      assert.strictEqual(broken.type === "defect" && broken.cause, "TypeError: broken")
      for (const task of ["uncloneableResult", "wrongResult"])
        assert.strictEqual((yield* loop.call(task)).type, "defect")
    })
  )

  it.live("never runs a task that is interrupted while it waits, and aborts or kills one that runs", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), options)
      const [heedful, deaf, waiting] = [makeFlags(), makeFlags(), makeFlags()]
      const first = yield* start(loop.call("spin", { heedful: true, flags: heedful }))
      yield* raised(heedful, 0)
      const never = yield* start(loop.call("sleep", { millis: 0, flags: waiting }))
      yield* until(loop, ({ queued }) => queued === 1)
      yield* Fiber.interrupt(never)
      assert.strictEqual((yield* until(loop, ({ queued }) => queued === 0)).running, 1)
      yield* Fiber.interrupt(first)
      yield* raised(heedful, 1)
      const thread = yield* valueOf<number>(loop, "threadId")
      const second = yield* start(loop.call("spin", { heedful: false, flags: deaf }))
      yield* raised(deaf, 0)
      yield* Fiber.interrupt(second)
      assert.notStrictEqual(yield* valueOf<number>(loop, "threadId"), thread)
      const { ended, killed } = yield* stats(loop)
      assert.deepStrictEqual([ended.interrupted, killed, waiting[0]], [3, 1, 0])
    })
  )

  it.live("fails only the task whose worker dies", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const [one, other] = [yield* startLoop(host, { workers: 2 }), yield* startLoop(host, { workers: 2 })]
      const flags = makeFlags()
      const healthy = yield* start(other.call("hold", { millis: 20_000, flags }))
      // The pools of both offloads have two workers; these tasks belong to one of them.
      const crashing = yield* start(other.call("wait", { millis: 20_000, flags }))
      yield* raised(flags, 0, 2)
      const crashed = yield* one.call("exit", { code: 3 })
      assert.strictEqual(crashed.type === "offload" && crashed.reason._tag, "Crashed")
      assert.strictEqual(crashed.type === "offload" && crashed.reason.exitCode, 3)
      set(flags, 3)
      assert.strictEqual((yield* Fiber.join(healthy)).type, "succeeded")
      assert.strictEqual((yield* stats(one)).running, 1)
      yield* Fiber.interrupt(crashing)
      assert.strictEqual((yield* one.call("threadId")).type, "succeeded")
    })
  )

  it.live("ends a task that runs for too long, and one whose deadline passes", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), options)
      const timedOut = yield* loop.call("wait", { millis: 20_000, flags: undefined }, { timeout: "20 millis" })
      assert.strictEqual(timedOut.type === "offload" && timedOut.reason._tag, "TimedOut")
      const late = yield* loop.call("wait", { millis: 20_000, flags: undefined }, { deadline: 30 })
      assert.include(late.type === "other" ? late.text : "", "the deadline passed")
      const left = yield* loop.call("remaining", undefined, { deadline: 10_000 })
      assert.isAbove(left.type === "succeeded" ? Number(left.value) : 0, 0)
      const { ended } = yield* stats(loop)
      assert.deepStrictEqual([ended.timedOut, ended.interrupted], [1, 1])
    })
  )

  it.live("holds a stream back while its consumer rests, and tells how it ended", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make())
      for (const bufferSize of [1, 5]) {
        const flags = makeFlags()
        const stream = yield* start(loop.call("count", { to: 100, flags }, { bufferSize, pauseAfter: 10 }))
        yield* raised(flags, 2)
        // As soon as the worker answers a ping it has sent what it may.
        assert.isAtMost(flags[0]!, 10 + bufferSize + 1)
        assert.strictEqual(flags[1], 0)
        set(flags, 3)
        const all = Array.from({ length: 100 }, (_, i) => i)
        assert.deepStrictEqual(yield* Fiber.join(stream), succeeded(all))
        assert.deepStrictEqual([flags[0], flags[1]], [100, 1])
      }
      const broken = yield* loop.call("count", { to: 2000, flags: makeFlags() })
      assert.deepStrictEqual(broken, { type: "other", text: "Broken" })
    })
  )

  it.live("ends the producer of a stream whose consumer stops", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), options)
      const flags = makeFlags()
      const stream = yield* start(loop.call("countSlowly", { to: 1e9, flags }))
      yield* raised(flags, 0, 20)
      yield* Fiber.interrupt(stream)
      yield* raised(flags, 1)
      assert.strictEqual((yield* valueOf<Offload.Stats>(loop, "flowStats")).ended.interrupted, 1)
    })
  )

  it.live("moves the bytes of payloads and results over both ways", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), options)
      for (const size of [10, 100_000]) {
        assert.deepStrictEqual(yield* loop.call("size", size), succeeded({ length: size, detached: true }))
      }
      const blocks = yield* valueOf<ReadonlyArray<Uint8Array>>(loop, "blocks")
      assert.deepStrictEqual(
        blocks.map((block) => [block.length, block[0]]),
        [
          [1024, 0],
          [1024, 1],
          [1024, 2]
        ]
      )
    })
  )

  it.live("leaves the bytes of a refused payload to its caller", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), { maxQueued: 1, maxWait: "20 millis" })
      const flags = makeFlags()
      const running = yield* start(loop.call("hold", { millis: 20_000, flags }))
      yield* raised(flags, 0)
      for (const size of [10, 100_000]) {
        assert.deepStrictEqual(yield* loop.call("size", size), succeeded({ length: -1, detached: false }))
      }
      set(flags, 3)
      yield* Fiber.join(running)
    })
  )

  it.live("tells of progress in order", () =>
    Effect.gen(function* () {
      const loop = yield* startLoop(yield* OffloadHost.make(), options)
      const ended = yield* loop.call("report", { times: 3_000_000, flags: makeFlags() }, { reports: true })
      const reports: Array<number> = ended.type === "succeeded" ? (ended.value as Array<number>) : []
      assert.strictEqual(reports[0], 1)
      assert.isAtLeast(reports.length, 3)
      assert.deepStrictEqual(
        reports,
        reports.toSorted((a, b) => a - b)
      )
    })
  )
})
