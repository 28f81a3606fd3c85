import { readdirSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Deadline, Offload } from "@spillway/runtime"
import {
  Crashed,
  DeadlinePassed,
  OffloadDefect,
  OffloadError,
  Saturated,
  TimedOut,
  Unavailable
} from "@spillway/runtime/OffloadError"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { Refused, Tasks, TestOffload, worker } from "./fixtures/tasks.ts"

const threads = () => readdirSync("/proc/self/task").length

const provide = (options: Partial<Offload.ThreadsOptions>) =>
  Effect.provide(TestOffload.layerThreads({ worker, workers: 1, ...options }))

const expectDefect = <A, E>(exit: Exit.Exit<A, E>): OffloadDefect => {
  assert.isTrue(Exit.isFailure(exit))
  const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(defect, OffloadDefect)
  return defect
}

describe("Offload.layerThreads", () => {
  it.live("runs tasks on other threads and decodes their results", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      assert.isAbove(yield* tasks.threadId(), 0)
      assert.strictEqual(yield* tasks.double({ value: 21 }), 42)
      const tomorrow = yield* tasks.tomorrow({ date: new Date(0) })
      assert.deepStrictEqual(tomorrow, new Date(86_400_000))
    }).pipe(provide({}))
  )

  it.live("answers every one of a thousand concurrent calls with its own result", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const values = Array.from({ length: 1000 }, (_, i) => i)
      const results = yield* Effect.forEach(values, (value) => tasks.double({ value }), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        results,
        values.map((value) => value * 2)
      )
    }).pipe(provide({ workers: 2, maxQueued: 1000 }))
  )

  it.live("gives the worker the data of the layer", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* (yield* TestOffload).data(), { answer: 42 })
    }).pipe(provide({ data: { answer: 42 } }))
  )

  it.live("fails with the declared error of a task", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit((yield* TestOffload).refuse({ why: "closed" }))
      assert.deepStrictEqual(exit, Exit.fail(new Refused({ why: "closed" })))
    }).pipe(provide({}))
  )

  it.live("dies with the name, message and stack of what a handler throws, and the worker lives on", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const thread = yield* tasks.threadId()
      const { cause, task } = expectDefect(yield* Effect.exit(tasks.throw({ message: "broken" })))
      assert.strictEqual(task, "throw")
      assert.instanceOf(cause, Error)
      assert.strictEqual((cause as Error).name, "TypeError")
      assert.strictEqual((cause as Error).message, "broken")
      assert.include((cause as Error).stack, "tasks.worker.ts")
      assert.strictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide({}))
  )

  it.live("dies when a payload or a result breaks the contract, and the worker lives on", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const thread = yield* tasks.threadId()
      assert.strictEqual(expectDefect(yield* Effect.exit(tasks.wrongResult())).task, "wrongResult")
      assert.strictEqual(expectDefect(yield* Effect.exit(tasks.uncloneableResult())).task, "uncloneableResult")
      assert.strictEqual(expectDefect(yield* Effect.exit(tasks.anything({ value: () => 1 }))).task, "anything")
      assert.strictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide({}))
  )

  it.live("refuses a task when the queue is full", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: true, flags }), { startImmediately: true })
      const waiting = yield* Effect.forkChild(tasks.threadId(), { startImmediately: true })
      const exit = yield* Effect.exit(tasks.threadId())
      const reason = new Saturated({ why: "QueueFull", queued: 1, retryAfter: Duration.seconds(1) })
      assert.deepStrictEqual(exit, Exit.fail(new OffloadError({ task: "threadId", reason })))
      yield* Fiber.interrupt(running)
      assert.isAbove(yield* Fiber.join(waiting), 0)
    }).pipe(provide({ maxQueued: 1 }))
  )

  it.live("refuses a task that waited too long", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: true, flags }), { startImmediately: true })
      const error = yield* Effect.flip(tasks.threadId())
      assert.strictEqual(error.reason._tag, "Saturated")
      yield* Fiber.interrupt(running)
    }).pipe(provide({ maxWait: "20 millis" }))
  )

  it.live("never runs a queued task whose caller was interrupted", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const [first, second] = [makeFlags(), makeFlags()]
      const running = yield* Effect.forkChild(tasks.spin({ heedful: true, flags: first }), { startImmediately: true })
      const queued = yield* Effect.forkChild(tasks.spin({ heedful: true, flags: second }), { startImmediately: true })
      yield* raised(first, 0)
      yield* Fiber.interrupt(queued)
      yield* Fiber.interrupt(running)
      yield* tasks.threadId()
      assert.strictEqual(Atomics.load(second, 0), 0)
    }).pipe(provide({}))
  )

  it.live("ends a synchronous task that heeds its signal without ending its thread", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const thread = yield* tasks.threadId()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: true, flags }), { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* tasks.threadId(), thread)
      assert.strictEqual(Atomics.load(flags, 1), 1)
    }).pipe(provide({ killGrace: "10 seconds" }))
  )

  it.live("aborts the signal of an asynchronous task", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const running = yield* Effect.forkChild(tasks.wait({ millis: 60_000, flags }), { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      yield* raised(flags, 1)
    }).pipe(provide({ killGrace: "10 seconds" }))
  )

  it.live("kills a thread that does not stop and replaces it", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const thread = yield* tasks.threadId()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: false, flags }), { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      assert.notStrictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide({ killGrace: "10 millis" }))
  )

  it.live("counts a thread as busy until it is truly gone", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: false, flags }), { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      const error = yield* Effect.flip(tasks.threadId())
      assert.strictEqual(error.reason._tag, "Saturated")
    }).pipe(provide({ maxQueued: 0, killGrace: "5 seconds", drainTimeout: 0 }))
  )

  it.live("leaves the other workers alone when it kills one", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const [stuck, well] = [makeFlags(), makeFlags()]
      const running = yield* Effect.forkChild(tasks.spin({ heedful: false, flags: stuck }), { startImmediately: true })
      const other = yield* Effect.forkChild(tasks.wait({ millis: 200, flags: well }), { startImmediately: true })
      yield* raised(stuck, 0)
      yield* raised(well, 0)
      yield* Fiber.interrupt(running)
      assert.isAbove(yield* Fiber.join(other), 0)
    }).pipe(provide({ workers: 2, killGrace: 0 }))
  )

  it.live("moves a task that shares a stuck thread but has not begun to another thread", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const running = yield* Effect.forkChild(tasks.spin({ heedful: false, flags }), { startImmediately: true })
      yield* raised(flags, 0)
      const neighbour = yield* Effect.forkChild(tasks.double({ value: 5 }), { startImmediately: true })
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* Fiber.join(neighbour), 10)
    }).pipe(provide({ concurrency: 2, killGrace: 0 }))
  )

  it.live("fails a task that has begun on a stuck thread when it kills that thread", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const [waiting, stuck] = [makeFlags(), makeFlags()]
      const neighbour = yield* Effect.forkChild(Effect.flip(tasks.wait({ millis: 60_000, flags: waiting })), {
        startImmediately: true
      })
      yield* raised(waiting, 0)
      const running = yield* Effect.forkChild(tasks.spin({ heedful: false, flags: stuck }), { startImmediately: true })
      yield* raised(stuck, 0)
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* Fiber.join(neighbour)).reason._tag, "Crashed")
    }).pipe(provide({ concurrency: 2, killGrace: 0 }))
  )

  it.live("lets the neighbours of an abandoned task finish while their thread's event loop turns", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const [deaf, well] = [makeFlags(), makeFlags()]
      const thread = yield* tasks.threadId()
      const abandoned = yield* Effect.forkChild(tasks.sleep({ millis: 60_000, flags: deaf }), {
        startImmediately: true
      })
      const neighbour = yield* Effect.forkChild(tasks.wait({ millis: 300, flags: well }), { startImmediately: true })
      yield* raised(deaf, 0)
      yield* raised(well, 0)
      yield* Fiber.interrupt(abandoned)
      assert.strictEqual(yield* Fiber.join(neighbour), thread)
      assert.notStrictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide({ concurrency: 2, killGrace: 0 }))
  )

  it.live("does not kill the thread of a cooperative task", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const thread = yield* tasks.threadId()
      const call = tasks.spin({ heedful: true, flags }, { cancellation: "cooperative" })
      const running = yield* Effect.forkChild(call, { startImmediately: true })
      yield* raised(flags, 0)
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* tasks.threadId(), thread)
    }).pipe(provide({ killGrace: 0 }))
  )

  it.live("ends a task that runs for longer than its timeout", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const exit = yield* Effect.exit(tasks.spin({ heedful: false, flags: makeFlags() }, { timeout: "50 millis" }))
      const reason = new TimedOut({ timeout: Duration.millis(50) })
      assert.deepStrictEqual(exit, Exit.fail(new OffloadError({ task: "spin", reason })))
      assert.isAbove(yield* tasks.threadId(), 0)
    }).pipe(provide({ killGrace: 0 }))
  )

  it.live("measures a timeout from the start in the worker, not from the call", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const first = yield* Effect.forkChild(tasks.wait({ millis: 300, flags }), { startImmediately: true })
      const second = tasks.wait({ millis: 1, flags }, { timeout: "200 millis" })
      assert.isAbove(yield* second, 0)
      yield* Fiber.join(first)
    }).pipe(provide({}))
  )

  it.live("fails only the task that a worker was running when it exits", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const other = yield* Effect.forkChild(tasks.wait({ millis: 200, flags }), { startImmediately: true })
      const crash = yield* Effect.forkChild(Effect.exit(tasks.exit({ code: 3 })), { startImmediately: true })
      const queued = yield* Effect.forkChild(tasks.double({ value: 1 }), { startImmediately: true })
      const reason = new Crashed({ exitCode: 3 })
      assert.deepStrictEqual(yield* Fiber.join(crash), Exit.fail(new OffloadError({ task: "exit", reason })))
      assert.strictEqual(yield* Fiber.join(queued), 2)
      assert.isAbove(yield* Fiber.join(other), 0)
    }).pipe(provide({ workers: 2 }))
  )

  it.live("moves a task that a worker had not begun when it died to another worker", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const crash = yield* Effect.forkChild(Effect.flip(tasks.exit({ code: 3 })), { startImmediately: true })
      const neighbour = yield* Effect.forkChild(tasks.double({ value: 8 }), { startImmediately: true })
      assert.strictEqual(yield* Fiber.join(neighbour), 16)
      assert.strictEqual((yield* Fiber.join(crash)).reason._tag, "Crashed")
    }).pipe(provide({ concurrency: 2 }))
  )

  it.live("survives a worker that runs out of memory and says so", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const error = yield* Effect.flip(tasks.fillHeap())
      assert.strictEqual(error.reason._tag, "Crashed")
      assert.include(error.message, "memory limit")
      assert.strictEqual(yield* tasks.double({ value: 4 }), 8)
    }).pipe(provide({ resourceLimits: { maxOldGenerationSizeMb: 32 } }))
  )

  it.live("carries the caller's deadline to the worker, and ends the task when it passes", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const left = yield* Deadline.within(tasks.remaining(), "5 seconds")
      assert.isTrue(left > 0 && left <= 5000)
      const flags = makeFlags()
      const exit = yield* Effect.exit(Deadline.within(tasks.wait({ millis: 60_000, flags }), "50 millis"))
      assert.strictEqual(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("DeadlineExceeded"), true)
      yield* raised(flags, 1)
    }).pipe(provide({}))
  )

  it.live("does not run a task whose deadline has passed", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const call = Effect.provideService(tasks.wait({ millis: 1, flags }), Deadline.CurrentDeadline, 0)
      assert.deepStrictEqual(
        yield* Effect.exit(call),
        Exit.fail(new OffloadError({ task: "wait", reason: new DeadlinePassed() }))
      )
      assert.strictEqual(Atomics.load(flags, 0), 0)
    }).pipe(provide({}))
  )

  it.live("serves a more urgent task first and displaces a less urgent one from a full queue", () =>
    Effect.gen(function* () {
      const tasks = yield* TestOffload
      const flags = makeFlags()
      const order: Array<string> = []
      const running = yield* Effect.forkChild(tasks.spin({ heedful: true, flags }), { startImmediately: true })
      const call = (priority: "high" | "normal" | "low") =>
        Effect.forkChild(
          tasks.threadId(undefined, { priority }).pipe(
            Effect.tap(() => Effect.sync(() => order.push(priority))),
            Effect.exit
          ),
          { startImmediately: true }
        )
      const low = yield* call("low")
      const normal = yield* call("normal")
      const high = yield* call("high")
      const displaced = yield* Fiber.join(low)
      assert.isTrue(Exit.isFailure(displaced))
      yield* Fiber.interrupt(running)
      yield* Fiber.join(normal)
      yield* Fiber.join(high)
      assert.deepStrictEqual(order, ["high", "normal"])
    }).pipe(provide({ maxQueued: 2 }))
  )

  describe("start", () => {
    const missing = pathToFileURL("/nonexistent/file.worker.ts")
    const cannotStart = (url: URL) =>
      Effect.flip(
        Effect.scoped(Layer.build(TestOffload.layerThreads({ worker: url, workers: 1, maxStartAttempts: 2 })))
      )

    it.live("fails as unavailable when the worker file is missing", () =>
      Effect.gen(function* () {
        const error = yield* cannotStart(missing)
        assert.instanceOf(error.reason, Unavailable)
        assert.include(error.message, "Cannot find module")
      })
    )

    it.live("fails as unavailable when the worker file throws or serves nothing", () =>
      Effect.gen(function* () {
        const broken = yield* cannotStart(new URL("data:text/javascript,throw new Error('no database')"))
        assert.include(broken.message, "no database")
        const silent = yield* cannotStart(new URL("data:text/javascript,"))
        assert.include(silent.message, "it ended without calling serve")
      })
    )

    it.live("fails as unavailable when the worker serves other tasks", () => {
      const More = RpcGroup.make(Rpc.make("missing", { success: Schema.Number })).merge(Tasks)
      class MoreOffload extends Offload.Service<MoreOffload>()("test/More", More) {}
      const layer = MoreOffload.layerThreads({ worker, workers: 1, maxStartAttempts: 1 })
      return Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.include(error.message, 'no handler for "missing"')
      })
    })

    it.live("fails as unavailable when the worker never serves", () =>
      Effect.gen(function* () {
        const url = new URL("data:text/javascript,setInterval(() => {}, 1000)")
        const layer = TestOffload.layerThreads({
          worker: url,
          workers: 1,
          maxStartAttempts: 1,
          startTimeout: "100 millis"
        })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.include(error.message, "did not call serve")
      })
    )
  })

  describe("end", () => {
    const open = Effect.fnUntraced(function* (options: Partial<Offload.ThreadsOptions>) {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(TestOffload.layerThreads({ worker, workers: 1, ...options }), scope)
      return { scope, tasks: Context.get(context, TestOffload) }
    })

    it.live("finishes what runs and what waits, then closes the workers", () =>
      Effect.gen(function* () {
        const before = threads()
        const [flags, closed] = [makeFlags(), makeFlags()]
        const { scope, tasks } = yield* open({ spares: 0, data: { closed } })
        const running = yield* Effect.forkChild(tasks.wait({ millis: 100, flags }), { startImmediately: true })
        const queued = yield* Effect.forkChild(tasks.double({ value: 3 }), { startImmediately: true })
        yield* raised(flags, 0)
        yield* Scope.close(scope, Exit.void)
        assert.isAbove(yield* Fiber.join(running), 0)
        assert.strictEqual(yield* Fiber.join(queued), 6)
        assert.strictEqual(Atomics.load(closed, 0), 1)
        assert.strictEqual(threads(), before)
        const error = yield* Effect.flip(tasks.threadId())
        assert.strictEqual(error.reason._tag, "Unavailable")
      })
    )

    it.live("kills what runs after the drain timeout and refuses what waits", () =>
      Effect.gen(function* () {
        const flags = makeFlags()
        const { scope, tasks } = yield* open({ drainTimeout: "50 millis" })
        const running = yield* Effect.forkChild(Effect.exit(tasks.spin({ heedful: false, flags })), {
          startImmediately: true
        })
        const queued = yield* Effect.forkChild(Effect.flip(tasks.threadId()), { startImmediately: true })
        yield* raised(flags, 0)
        yield* Effect.timeout(Scope.close(scope, Exit.void), "5 seconds")
        assert.strictEqual((yield* Fiber.join(queued)).reason._tag, "Unavailable")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(running)))
      })
    )

    it.live("ends starting workers when its start is interrupted", () =>
      Effect.gen(function* () {
        const before = threads()
        const started = yield* Deferred.make<void>()
        const building = yield* Effect.forkChild(
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.scoped(Layer.build(TestOffload.layerThreads({ worker, workers: 2 }))))
          ),
          { startImmediately: true }
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(building)
        assert.strictEqual(threads(), before)
      })
    )
  })
})
