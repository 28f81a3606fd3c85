import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { serve } from "@spillway/runtime/OffloadWorker"
import { ModulesOffload } from "./fixtures/modules.ts"

const worker = new URL("./fixtures/modules.worker.mjs", import.meta.url)

describe("OffloadWorker", () => {
  it.live("loads no module of Effect into a worker of plain functions", () =>
    Effect.gen(function* () {
      const loaded = (yield* (yield* ModulesOffload).loaded()).filter((url) => url.startsWith("file:"))
      const ours = loaded.map((url) => url.replace(/.*\/(?=(test|src)\/)/, "")).toSorted()
      assert.deepStrictEqual(ours, [
        "src/OffloadWorker.ts",
        "src/internal/offload/protocol.ts",
        "src/internal/offload/worker/streaming.ts",
        "src/internal/offload/worker/task.ts",
        "src/internal/offload/worker/workerLoop.ts",
        "test/fixtures/modules.inner.worker.ts"
      ])
    }).pipe(Effect.provide(ModulesOffload.layerThreads({ worker, workers: 1, spares: 0 })))
  )

  it("says what is wrong when a worker file is run by itself", () => {
    assert.throws(() => serve({} as never), /OffloadWorker.serve: this file is a worker of Offload.layerThreads/)
  })
})
