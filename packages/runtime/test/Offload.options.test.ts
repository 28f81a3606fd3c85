import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Stream } from "effect"
import type { Offload } from "@spillway/runtime"
import { defaults } from "@spillway/runtime/OffloadOptions"
import { EdgeOffload, worker } from "./fixtures/edges.ts"

const source = readFileSync(new URL("../src/OffloadOptions.ts", import.meta.url), "utf8")

const inline = EdgeOffload.layerInline({
  payload: () => {},
  success: () => "",
  checked: () => "",
  leaving: () => "",
  later: () => "",
  error: () => {},
  items: () => [],
  process: () => "",
  numbers: () => [0],
  size: () => 0,
  late: () => {},
  threadId: () => 0
})

const rangeError = (exit: Exit.Exit<unknown, unknown>): string => {
  const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(defect, RangeError)
  return defect.message
}

describe("Offload, options", () => {
  const bad: ReadonlyArray<readonly [Partial<Offload.ThreadsOptions>, string]> = [
    [{ workers: 0 }, "workers must be an integer >= 1, got 0"],
    [{ workers: 4, maxWorkers: 2 }, "workers must be at most maxWorkers (2), got 4"],
    [{ minWorkers: 3, maxWorkers: 2 }, "maxWorkers must be an integer >= 3, got 2"],
    [{ timeout: 0 }, "timeout must be above 0, got 0"],
    [{ killGrace: "-1 millis" }, "killGrace must be 0 or above, got -1"]
  ]
  for (const [options, message] of bad) {
    it.effect(`refuses to build a layer: ${message}`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Layer.build(EdgeOffload.layerThreads({ worker, ...options })))
        assert.strictEqual(rangeError(exit), `Offload.layerThreads: ${message}`)
      })
    )
  }

  it.live("dies when Node.js refuses the options of a thread", () =>
    Effect.gen(function* () {
      const layer = EdgeOffload.layerThreads({ worker, workers: 1, execArgv: ["--max-old-space-size=64"] })
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer)))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.strictEqual((defect as { readonly code?: string } | undefined)?.code, "ERR_WORKER_INVALID_EXEC_ARGV")
    })
  )

  for (const [name, layer] of [
    ["threads", EdgeOffload.layerThreads({ worker, workers: 1, spares: 0 })],
    ["inline", inline]
  ] as const) {
    it.live(`dies when the options of a call are out of range: ${name}`, () =>
      Effect.gen(function* () {
        const edges = yield* EdgeOffload
        for (const timeout of [0, -1]) {
          const message = `timeout must be above 0, got ${timeout}`
          assert.strictEqual(
            rangeError(yield* Effect.exit(edges.threadId(undefined, { timeout }))),
            `Offload.threadId: ${message}`
          )
          const items = Stream.runDrain(edges.numbers({ to: 1 }, { timeout }))
          assert.strictEqual(rangeError(yield* Effect.exit(items)), `Offload.numbers: ${message}`)
        }
        for (const bufferSize of [0, 1.5, 2 ** 31, Infinity]) {
          assert.throws(
            () => edges.numbers({ to: 1 }, { bufferSize }),
            RangeError,
            `Offload.numbers: bufferSize must be an integer from 1 to 2147483647, got ${bufferSize}`
          )
        }
        const most = edges.numbers({ to: 1 }, { bufferSize: 2 ** 31 - 1, timeout: Infinity })
        assert.deepStrictEqual(yield* Stream.runCollect(most), [0])
      }).pipe(Effect.provide(layer))
    )
  }

  it("documents each option with its default", () => {
    for (const [field, value] of Object.entries(defaults)) {
      const tags = Array.from(source.matchAll(new RegExp(`@default (.*)\\n   \\*/\\n  readonly ${field}\\?`, "g")))
      const expected = typeof value === "number" ? String(value) : JSON.stringify(value)
      // The `timeout` of a call has that of the layer as its default.
      const said = tags.map((tag) => tag[1]).filter((tag) => tag !== "the `timeout` of the layer")
      assert.isAbove(said.length, 0, field)
      for (const tag of said) assert.strictEqual(tag, expected, field)
    }
  })
})
