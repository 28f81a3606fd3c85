import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schedule, Stream } from "effect"
import { BadSize, ImageOffload } from "@spillway/examples/pixels/contract"
import { firstRows, images, inverted, program, published, publishAnyway } from "@spillway/examples/pixels/main"

describe("the guide to Offload", () => {
  it.live("moves bytes to a worker and back", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* inverted, new Uint8Array(8).fill(5))
    }).pipe(Effect.provide(images))
  )

  it.live("streams rows until the consumer has enough, and fails with the declared error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* firstRows,
        Array.from({ length: 3 }, () => new Uint8Array(10).fill(9))
      )
      const { blur } = yield* ImageOffload
      const exit = yield* Effect.exit(Stream.runDrain(blur({ pixels: new Uint8Array(3), width: 2 })))
      assert.deepStrictEqual(exit, Exit.fail(new BadSize({ width: 2 })))
    }).pipe(Effect.provide(images))
  )

  it.live("publishes even when the time of the call is over", () =>
    Effect.gen(function* () {
      const before = Atomics.load(published, 0)
      yield* publishAnyway
      yield* Effect.sync(() => Atomics.load(published, 0)).pipe(
        Effect.repeat({ until: (count) => count > before, schedule: Schedule.spaced("2 millis") }),
        Effect.timeout("10 seconds")
      )
    }).pipe(Effect.provide(images))
  )

  it.live("runs the same contract with handlers that are effects", () =>
    Effect.gen(function* () {
      const offload = yield* ImageOffload
      assert.deepStrictEqual(yield* offload.invert({ pixels: Uint8Array.of(0, 255) }), Uint8Array.of(255, 0))
      const rows = yield* Stream.runCollect(offload.blur({ pixels: Uint8Array.of(1, 2, 3, 4), width: 2 }))
      assert.deepStrictEqual(rows, [Uint8Array.of(1, 2), Uint8Array.of(3, 4)])
      yield* offload.publish({ name: "sunrise" })
    }).pipe(
      Effect.provide(
        ImageOffload.layerThreads({
          worker: new URL("../src/pixels/effects.worker.ts", import.meta.url),
          workers: 1,
          spares: 0
        })
      )
    )
  )

  it.live("runs from its beginning to its end", () => program)
})
