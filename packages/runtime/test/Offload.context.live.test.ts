import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Tracer } from "effect"
import { OffloadDefect } from "@spillway/runtime/OffloadError"
import { makeFlags, raised } from "./fixtures/flags.ts"
import { FlowOffload, worker } from "./fixtures/flow.ts"

const provide = (options = {}) => Effect.provide(FlowOffload.layerThreads({ worker, workers: 1, ...options }))

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
        Atomics.store(flags, 3, 1)
        Atomics.notify(flags, 3)
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
})
