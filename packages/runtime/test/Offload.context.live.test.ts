import { SHARE_ENV } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, References, Stream, Tracer } from "effect"
import { Offload } from "@spillway/runtime"
import { OffloadDefect } from "@spillway/runtime/OffloadError"
import { EdgeOffload, worker as edges } from "./fixtures/edges.ts"
import { makeFlags, raised, release } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options = {}) => Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

const provideEdges = (options = {}) =>
  Effect.provide(EdgeOffload.layerThreads({ worker: edges, workers: 1, spares: 0, ...options }))

/** What is logged, and a promise-free way to wait for it. */
const makeLog = () => {
  const entries: Array<{ readonly message: unknown; readonly level: string; readonly annotations: object }> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    entries.push({ message, level: logLevel, annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return { entries, layer: Logger.layer([logger]) }
}

/** Waits until so many workers have crashed. */
const crashed = (client: object, count: number) =>
  Offload.stats(client).pipe(
    Effect.tap(() => Effect.sleep(1)),
    Effect.repeat({ until: (stats) => stats.crashed >= count }),
    Effect.timeout("10 seconds")
  )

const expectDefect = <A, E>(exit: Exit.Exit<A, E>): OffloadDefect => {
  const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(defect, OffloadDefect)
  return defect
}

describe("Offload.layerThreads, what a task is told and tells", () => {
  for (const size of [10, 100_000]) {
    it.live(`moves transferable payloads and results instead of copying them: ${size} bytes`, () =>
      Effect.gen(function* () {
        const flow = yield* FlowOffload
        const bytes = new Uint8Array(size).fill(1)
        bytes[0] = 2
        const reversed = yield* flow.reverse({ bytes })
        assert.strictEqual(reversed.length, size)
        assert.deepStrictEqual([reversed[0], reversed[size - 1]], [1, 2])
        assert.isTrue(bytes.buffer.detached)
      }).pipe(provide())
    )

    it.live(`leaves a payload alone that never left: ${size} bytes`, () =>
      Effect.gen(function* () {
        const flow = yield* FlowOffload
        const flags = makeFlags()
        yield* flow.tick({ flags })
        const running = yield* Effect.forkChild(flow.hold({ millis: 20_000, flags }), { startImmediately: true })
        const [bytes, more] = [new Uint8Array(size), new Uint8Array(size)]
        const waiting = yield* Effect.forkChild(flow.reverse({ bytes }), { startImmediately: true })
        const error = yield* Effect.flip(flow.reverse({ bytes: more }))
        assert.strictEqual(error.reason._tag, "Saturated")
        assert.deepStrictEqual([bytes.buffer.detached, more.buffer.detached], [false, false])
        yield* raised(flags, 0)
        release(flags)
        yield* Fiber.join(running)
        assert.strictEqual((yield* Fiber.join(waiting)).length, size)
        assert.isTrue(bytes.buffer.detached)
      }).pipe(provide({ maxQueued: 1 }))
    )
  }

  it.live("tells the caller of progress, in order, leaving out what it is too busy for", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const reports: Array<unknown> = []
      const flags = makeFlags()
      yield* flow.report({ times: 100_000, flags }, { onProgress: (report) => reports.push(report) })
      assert.isTrue(reports.length >= 1 && reports.length < 100_000)
      assert.strictEqual(reports[0], 1)
      assert.deepStrictEqual(
        reports,
        reports.toSorted((a, b) => Number(a) - Number(b))
      )
      yield* flow.report({ times: 10, flags })
    }).pipe(provide())
  )

  it.live("ends a task whose progress listener throws, with that as its defect", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const onProgress = () => {
        throw new Error("no room for reports")
      }
      const flags = makeFlags()
      const task = flow.report({ times: 1, flags }, { onProgress })
      const { cause } = expectDefect(yield* Effect.exit(Effect.andThen(task, Effect.never)))
      assert.strictEqual((cause as Error).message, "no room for reports")
      assert.isAbove(yield* flow.threadId(), 0)
    }).pipe(provide())
  )

  it.live("carries the caller's span to plain handlers", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      assert.isUndefined(yield* flow.traceparent())
      const parent = Tracer.externalSpan({ traceId: "0".repeat(31) + "1", spanId: "0".repeat(15) + "2", sampled: true })
      const seen = yield* Effect.provideService(flow.traceparent(), Tracer.ParentSpan, parent)
      assert.strictEqual(seen, `00-${parent.traceId}-${parent.spanId}-01`)
    }).pipe(provide())
  )

  it.live("keeps the code and the causes of an error", () =>
    Effect.gen(function* () {
      const { cause } = expectDefect(yield* Effect.exit((yield* FlowOffload).throwChain()))
      const outer = cause as Error & { code: string }
      const inner = outer.cause as Error & { code: string }
      assert.deepStrictEqual([outer.code, inner.code], ["OUTER", "INNER"])
      assert.include(inner.stack, "flow.worker.ts")
    }).pipe(provide())
  )

  it.live("passes payloads and results of an unchecked task as they are", () =>
    Effect.gen(function* () {
      const value = "not a number" as unknown as number
      const flow = yield* FlowOffload
      assert.strictEqual(yield* flow.raw({ value }), value)
    }).pipe(provide())
  )

  it.live("lets a task that is cooperative by contract finish, unless the call says otherwise", () =>
    Effect.gen(function* () {
      const flow = yield* FlowOffload
      const thread = yield* flow.threadId()
      const cancel = (flags: Int32Array, options = {}) =>
        Effect.gen(function* () {
          const running = yield* Effect.forkChild(flow.stubborn({ flags }, options), { startImmediately: true })
          yield* raised(flags, 0)
          yield* Fiber.interrupt(running)
        })
      const [gentle, hard] = [makeFlags(), makeFlags()]
      yield* cancel(gentle)
      assert.strictEqual(yield* flow.threadId(), thread)
      assert.strictEqual(Atomics.load(gentle, 2), 1)
      yield* cancel(hard, { cancellation: "kill" })
      assert.notStrictEqual(yield* flow.threadId(), thread)
      assert.strictEqual(Atomics.load(hard, 2), 0)
    }).pipe(provide({ killGrace: 0 }))
  )

  it.live("leaves a prefetched payload alone that was taken back, so that the call can be tried again", () =>
    Effect.gen(function* () {
      const tasks = yield* EdgeOffload
      const size = (bytes: Uint8Array<ArrayBuffer>, millis: number) => tasks.size({ bytes, millis })
      for (let i = 0; i < 20; i++) yield* size(new Uint8Array(8), 0)
      const running = yield* Effect.forkChild(size(new Uint8Array(8), 300), { startImmediately: true })
      const bytes = new Uint8Array(8)
      const error = yield* Effect.flip(size(bytes, 0))
      assert.strictEqual(error.reason._tag, "Saturated")
      assert.isFalse(bytes.buffer.detached)
      yield* Fiber.join(running)
      assert.strictEqual(yield* size(bytes, 0), 8)
      assert.isTrue(bytes.buffer.detached)
    }).pipe(provideEdges({ maxWait: "50 millis" }))
  )

  it.live("has moved the payload of a task that was cancelled or whose worker died while it ran", () =>
    Effect.gen(function* () {
      const tasks = yield* EdgeOffload
      const [cancelled, lost] = [new Uint8Array(8), new Uint8Array(8)]
      yield* Effect.flip(tasks.size({ bytes: cancelled, millis: 20_000 }, { timeout: "20 millis" }))
      assert.isTrue(cancelled.buffer.detached)
      const error = yield* Effect.flip(tasks.size({ bytes: lost, millis: -1 }))
      assert.strictEqual(error.reason._tag, "Crashed")
      assert.isTrue(lost.buffer.detached)
    }).pipe(provideEdges({ killGrace: 0 }))
  )

  it.live("names the task when one of its schemas throws or dies", () =>
    Effect.gen(function* () {
      const tasks = yield* EdgeOffload
      const calls: Array<readonly [string, Effect.Effect<unknown, unknown>]> = [
        ["payload", tasks.payload({ value: "a value" })],
        ["success", tasks.success()],
        ["checked", tasks.checked()],
        ["later", tasks.later()],
        ["error", tasks.error()],
        ["items", Stream.runDrain(tasks.items())]
      ]
      for (const [name, call] of calls) {
        const { cause, task } = expectDefect(yield* Effect.exit(call))
        assert.strictEqual(task, name)
        assert.include((cause as Error).message, "a bug", name)
      }
      const exit = yield* Effect.exit(tasks.leaving())
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    }).pipe(provideEdges())
  )

  it.live("gives workers their own environment, options of Node.js and arguments", () =>
    Effect.gen(function* () {
      const process = (options = {}) =>
        Effect.flatMap(EdgeOffload, (tasks) => tasks.process()).pipe(provideEdges(options)) as Effect.Effect<{
          readonly env: Record<string, string | undefined>
          readonly argv: ReadonlyArray<string>
          readonly execArgv: ReadonlyArray<string>
        }>
      const own = yield* process({ env: { WORKER: "1" }, argv: ["--fast"], execArgv: ["--no-warnings"] })
      assert.deepStrictEqual(own, { env: { WORKER: "1" }, argv: ["--fast"], execArgv: ["--no-warnings"] })
      const usual = yield* process()
      assert.strictEqual(usual.env["PATH"], globalThis.process.env["PATH"])
      assert.deepStrictEqual(usual.execArgv, globalThis.process.execArgv)
      assert.strictEqual((yield* process({ env: SHARE_ENV })).env["PATH"], globalThis.process.env["PATH"])
    })
  )

  it.live("logs that a worker died while it ran no task, and not what a caller is told", () => {
    const log = makeLog()
    return Effect.gen(function* () {
      const tasks = yield* EdgeOffload
      yield* Effect.flip(tasks.size({ bytes: new Uint8Array(8), millis: -1 }))
      assert.deepStrictEqual(log.entries, [])
      yield* tasks.late({ message: "nobody was told" })
      yield* crashed(tasks, 2)
      // Another one within a second is only counted.
      yield* tasks.late({ message: "one more" })
      yield* crashed(tasks, 3)
      assert.strictEqual(log.entries.length, 1)
      const { annotations, level, message } = log.entries[0]!
      assert.include(String(message), "nobody was told")
      assert.strictEqual(level, "Warn")
      const expected = { offload: "test/Edges", worker: "test/Edges-2", cause: "crashed", exitCode: 1 }
      assert.deepStrictEqual<object>({ ...annotations }, expected)
    }).pipe(provideEdges(), Effect.provide(log.layer))
  })

  it.live("logs that a spare cannot start", () => {
    const log = makeLog()
    const data = { starts: new Int32Array(new SharedArrayBuffer(4)), most: 1 }
    return Effect.gen(function* () {
      const tasks = yield* EdgeOffload
      yield* crashed(tasks, 1)
      assert.isAbove(yield* tasks.threadId(), 0)
      assert.strictEqual(log.entries.length, 1)
      assert.include(String(log.entries[0]!.message), "one worker too many")
    }).pipe(provideEdges({ spares: 1, data }), Effect.provide(log.layer))
  })
})
