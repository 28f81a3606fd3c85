import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { OffloadHost } from "@spillway/runtime"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { set, start, startLoop, stats, succeeded, threadIds, until, valueOf } from "./fixtures/hostLoops.ts"

describe("OffloadHost, one pool for all loops", () => {
  it.live("runs the tasks of two loops on the same threads", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const [one, other] = yield* Effect.all([startLoop(host, { workers: 2 }), startLoop(host, { workers: 2 })], {
        concurrency: 2
      })
      const both = Effect.forEach(
        [one, other],
        (loop) => valueOf<number>(loop, "wait", { millis: 1, flags: undefined }),
        {
          concurrency: 2
        }
      )
      const used = new Set((yield* Effect.replicateEffect(both, 20)).flat())
      const threads = yield* threadIds(one)
      assert.deepStrictEqual(yield* threadIds(other), threads)
      assert.strictEqual(threads.length, 2)
      assert.isTrue([...used].every((thread) => threads.includes(thread)))
      const { ended, started } = yield* stats(one)
      assert.strictEqual(started, 2)
      assert.strictEqual(ended.succeeded, 40)
    })
  )

  it.live("answers every one of a thousand concurrent calls of each loop with its own result", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const loops = [yield* startLoop(host, { maxQueued: 2000 }), yield* startLoop(host, { maxQueued: 2000 })]
      const values = Array.from({ length: 1000 }, (_, i) => i)
      yield* Effect.forEach(
        loops,
        Effect.fnUntraced(function* (loop, which) {
          const doubled = yield* Effect.forEach(values, (value) => loop.call("double", { value: value + which }), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(
            doubled,
            values.map((value) => succeeded((value + which) * 2))
          )
        }),
        { concurrency: 2 }
      )
    })
  )

  it.live("bounds what all loops together let wait, and lets an urgent task of one displace another's", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const [one, other] = [yield* startLoop(host, { maxQueued: 2 }), yield* startLoop(host, { maxQueued: 2 })]
      const flags = makeFlags()
      const running = yield* start(one.call("spin", { heedful: true, flags }))
      yield* raised(flags, 0)
      const first = yield* start(one.call("threadId"))
      yield* until(one, ({ queued }) => queued === 1)
      const second = yield* start(other.call("threadId", undefined, { priority: "low" }))
      yield* until(one, ({ queued }) => queued === 2)
      for (const loop of [one, other, one]) {
        const ended = yield* loop.call("threadId", undefined, { priority: "low" })
        assert.strictEqual(ended.type === "offload" && ended.reason.why, "QueueFull")
        assert.strictEqual(ended.type === "offload" && ended.reason.queued, 2)
      }
      const urgent = yield* start(one.call("double", { value: 4 }, { priority: "high" }))
      const displaced = yield* Fiber.join(second)
      assert.strictEqual(displaced.type === "offload" && displaced.reason.why, "Displaced")
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(yield* Fiber.join(urgent), succeeded(8))
      assert.strictEqual((yield* Fiber.join(first)).type, "succeeded")
      const { ended } = yield* until(other, ({ ended }) => ended.saturated === 4)
      assert.strictEqual(ended.interrupted, 1)
    })
  )

  it.live("refuses at once in a loop what a queue of no places cannot take, and counts it", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const loop = yield* startLoop(host, { maxQueued: 0 })
      const flags = makeFlags()
      const running = yield* start(loop.call("spin", { heedful: true, flags }))
      yield* raised(flags, 0)
      const refused = yield* Effect.replicateEffect(loop.call("threadId"), 200)
      assert.isTrue(refused.every((ended) => ended.type === "offload" && ended.reason.why === "QueueFull"))
      yield* Fiber.interrupt(running)
      yield* until(loop, ({ running }) => running === 0)
      assert.strictEqual((yield* loop.call("threadId")).type, "succeeded")
      assert.strictEqual((yield* stats(loop)).ended.saturated, 200)
    })
  )

  it.live("cancels what a dead loop had, and gives its places to the others", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const options = { maxQueued: 2, killGrace: 0 }
      const [doomed, other] = [yield* startLoop(host, options), yield* startLoop(host, options)]
      const [running, waiting] = [makeFlags(), makeFlags()]
      yield* start(doomed.call("spin", { heedful: false, flags: running }))
      yield* raised(running, 0)
      yield* start(doomed.call("sleep", { millis: 0, flags: waiting }))
      yield* start(doomed.call("sleep", { millis: 0, flags: waiting }))
      yield* until(other, ({ queued }) => queued === 2)
      yield* doomed.kill
      const { ended, killed, queued } = yield* until(other, ({ running }) => running === 0)
      assert.deepStrictEqual([queued, killed, ended.interrupted], [0, 1, 3])
      assert.strictEqual((yield* other.call("threadId")).type, "succeeded")
      assert.strictEqual(waiting[0], 0)
    })
  )

  it.live("cancels what a loop had that is stuck, when its connection is given up", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const options = { killGrace: "20 seconds" } as const
      const other = yield* startLoop(host, options)
      const scope = yield* Scope.fork(yield* Effect.scope)
      const port = yield* Effect.provideService(host.connect, Scope.Scope, scope)
      const stuck = yield* startLoop({ connect: Effect.succeed(port) }, options)
      const flags = makeFlags()
      yield* start(stuck.call("spin", { heedful: true, flags }))
      yield* raised(flags, 0)
      yield* stuck.block
      yield* Scope.close(scope, Exit.void)
      yield* raised(flags, 1)
      assert.strictEqual((yield* other.call("threadId")).type, "succeeded")
    })
  )

  it.live(
    "keeps its threads while loops are replaced one after the other, and closes them when none has come for a while",
    () =>
      Effect.gen(function* () {
        const host = yield* OffloadHost.make({ keepUnused: "10 seconds" })
        const inLoop = Effect.scoped(
          Effect.flatMap(startLoop(host), (loop) => Effect.all([valueOf<number>(loop, "threadId"), loop.call("close")]))
        )
        const threads = yield* Effect.replicateEffect(inLoop, 4)
        assert.strictEqual(new Set(threads.map(([thread]) => thread)).size, 1)
        const hasty = yield* OffloadHost.make({ keepUnused: 0 })
        const closed = makeFlags()
        const options = { data: { closed } }
        yield* Effect.scoped(Effect.flatMap(startLoop(hasty, options), (loop) => valueOf(loop, "threadId")))
        yield* raised(closed, 0)
        assert.strictEqual((yield* stats(yield* startLoop(hasty, options))).started, 1)
      })
  )

  it.live("makes a new pool while one that no loop uses any more still drains", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make({ keepUnused: 0 })
      const flags = makeFlags()
      const old = yield* startLoop(host)
      yield* start(old.call("hold", { millis: 20_000, flags }, { cancellation: "cooperative" }))
      yield* raised(flags, 0)
      yield* old.kill
      const next = yield* startLoop(host)
      assert.strictEqual((yield* next.call("tick", { flags: undefined })).type, "succeeded")
      set(flags, 3)
    })
  )

  it.live("lets the tasks of a layer that closes end, while the pool goes on for the others", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const options = { drainTimeout: "10 seconds" } as const
      const [leaving, other] = [yield* startLoop(host, options), yield* startLoop(host, options)]
      const thread = yield* valueOf<number>(other, "threadId")
      const flags = makeFlags()
      const running = yield* start(leaving.call("wait", { millis: 100, flags }))
      yield* raised(flags, 0)
      const closing = yield* start(leaving.call("close"))
      assert.deepStrictEqual(yield* Fiber.join(running), succeeded(thread))
      assert.strictEqual((yield* Fiber.join(closing)).type, "succeeded")
      assert.strictEqual(yield* valueOf<number>(other, "threadId"), thread)
    })
  )

  it.live("ends the tasks of a layer that closes when they take longer than its time to drain", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const options = { drainTimeout: 1, killGrace: 0 } as const
      const [leaving, other] = [yield* startLoop(host, options), yield* startLoop(host, options)]
      const flags = makeFlags()
      const running = yield* start(leaving.call("spin", { heedful: false, flags }))
      yield* raised(flags, 0)
      yield* leaving.call("close")
      const ended = yield* Fiber.join(running)
      assert.strictEqual(ended.type === "offload" && ended.reason.why, "Closed")
      yield* until(other, ({ killed, running }) => killed === 1 && running === 0)
      assert.strictEqual((yield* stats(other)).ended.unavailable, 1)
    })
  )

  it.live("drains its pools when its scope closes, and is unavailable then", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const host = yield* Effect.provideService(OffloadHost.make(), Scope.Scope, scope)
      const loop = yield* startLoop(host)
      const flags = makeFlags()
      const running = yield* start(loop.call("wait", { millis: 100, flags }))
      yield* raised(flags, 0)
      const closing = yield* start(Scope.close(scope, Exit.void))
      assert.strictEqual((yield* Fiber.join(running)).type, "succeeded")
      yield* Fiber.join(closing)
      const ended = yield* loop.call("threadId")
      assert.strictEqual(ended.type === "offload" && ended.reason.why, "Closed")
    })
  )

  it.live("dies in the layer of a loop that asks for the same pool with other options", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const one = yield* startLoop(host, { workers: 1, data: { answer: 42 } })
      assert.deepStrictEqual(yield* valueOf(one, "data"), { answer: 42 })
      const other = yield* startLoop(host, { maxWorkers: 2, maxQueued: 3, data: { answer: 43 } })
      const ended = yield* other.call("threadId")
      assert.strictEqual(ended.type, "defect")
      const message = ended.type === "defect" ? ended.message : ""
      for (const part of ["maxQueued (256 there, 3 here)", "maxWorkers (1 there, 2 here)", "data (other ones"]) {
        assert.include(message, part)
      }
      assert.notInclude(message, "minWorkers")
      const named = yield* startLoop(host, { name: "another", maxQueued: 3 })
      assert.strictEqual((yield* named.call("threadId")).type, "succeeded")
    })
  )

  it.live("tells every loop why no worker can start, and tries anew for the next one", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const file = join(folder, "late.worker.ts")
      const options = { worker: pathToFileURL(file).href, maxStartAttempts: 1 }
      const loops = [yield* startLoop(host, options), yield* startLoop(host, options)]
      for (const ended of yield* Effect.forEach(loops, (loop) => loop.call("threadId"), { concurrency: 2 })) {
        assert.strictEqual(ended.type === "offload" && ended.reason.why, "CannotStart")
        assert.strictEqual(ended.type === "offload" && ended.reason.worker, options.worker)
      }
      symlinkSync(new URL("./fixtures/tasks.worker.ts", import.meta.url), file)
      assert.strictEqual((yield* stats(yield* startLoop(host, options))).started, 1)
      const broken = yield* startLoop(host, { execArgv: ["--no-such-option"] })
      const ended = yield* broken.call("threadId")
      assert.strictEqual(ended.type, "defect")
      assert.include(ended.type === "defect" ? ended.message : "", "no-such-option")
    })
  )

  it.live("has its metrics in the host alone", () =>
    Effect.gen(function* () {
      const host = yield* OffloadHost.make()
      const loop = yield* startLoop(host)
      yield* loop.call("threadId")
      assert.deepStrictEqual(yield* valueOf(loop, "metrics"), [])
    })
  )
})
