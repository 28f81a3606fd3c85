import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Offload } from "@spillway/runtime"
import { OffloadDefect, OffloadError, Saturated, TimedOut } from "@spillway/runtime/OffloadError"

class Odd extends Schema.TaggedError<Odd>("Odd")("Odd", { value: Schema.Number }) {}

const Tasks = RpcGroup.make(
  Rpc.make("half", { payload: { value: Schema.NumberFromString }, success: Schema.NumberFromString, error: Odd }),
  Rpc.make("sleep", { payload: { millis: Schema.Number } }),
  Rpc.make("ping", { success: Schema.String })
)

class Inline extends Offload.Service<Inline>()("test/Inline", Tasks) {}

const layer = (options?: Offload.Options) =>
  Inline.layerInline(
    {
      half: ({ value }, { fail }) => {
        if (Number(value) % 2 === 1) throw fail({ _tag: "Odd", value: Number(value) })
        return String(Number(value) / 2)
      },
      sleep: ({ millis }) => Effect.sleep(millis),
      ping: async () => "pong"
    },
    options
  )

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

describe("Offload.layerInline", () => {
  it.effect("gives handlers the encoded payload and decodes what they return", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      assert.strictEqual(yield* tasks.half({ value: 42 }), 21)
      assert.strictEqual(yield* tasks.ping(), "pong")
      assert.deepStrictEqual(yield* Effect.exit(tasks.half({ value: 3 })), Exit.fail(new Odd({ value: 3 })))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("refuses what its queue does not hold", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const running = yield* start(tasks.sleep({ millis: 10 }))
      const exit = yield* Effect.exit(tasks.sleep({ millis: 10 }))
      const reason = new Saturated({ queued: 0, retryAfter: Duration.seconds(1) })
      assert.deepStrictEqual(exit, Exit.fail(new OffloadError({ task: "sleep", reason })))
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(running)
    }).pipe(Effect.provide(layer({ workers: 1, maxQueued: 0 })))
  )

  it.effect("ends a task that runs for longer than its timeout", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const fiber = yield* start(Effect.exit(tasks.sleep({ millis: 1000 })))
      yield* TestClock.adjust("50 millis")
      const reason = new TimedOut({ timeout: Duration.millis(50) })
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.fail(new OffloadError({ task: "sleep", reason })))
    }).pipe(Effect.provide(layer({ timeout: "50 millis" })))
  )

  it.effect("dies for what the contract does not declare", () =>
    Effect.gen(function* () {
      const tasks = yield* Inline
      const cause = new TypeError("broken")
      const exit = yield* Effect.exit(tasks.ping())
      assert.deepStrictEqual(exit, Exit.die(new OffloadDefect({ task: "ping", cause })))
    }).pipe(
      Effect.provide(
        Inline.layerInline({
          half: () => "",
          sleep: () => undefined,
          ping: () => {
            throw new TypeError("broken")
          }
        })
      )
    )
  )

  it.effect("dies, naming the task, for a payload that is not what the contract says", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit((yield* Inline).sleep({ millis: "1" as never }))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, OffloadDefect)
      assert.strictEqual(defect.task, "sleep")
    }).pipe(Effect.provide(layer()))
  )

  it("refuses a contract with a stream", () => {
    const Streams = RpcGroup.make(Rpc.make("ticks", { success: Schema.Number, stream: true }))
    assert.throws(
      () => Offload.Service<unknown>()("test/Streams", Streams),
      RangeError,
      'Offload.Service: task "ticks" is a stream'
    )
  })

  it.effect("dies for options outside their range", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.provide(Inline, layer({ workers: 0 })))
      const error = new RangeError("Offload.layerInline: workers must be an integer >= 1, got 0")
      assert.deepStrictEqual(exit, Exit.die(error))
    })
  )
})
