import { SharedBudget } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { soon } from "./fixture.ts"

const startAll = <Data extends object>(file: string, data: Data) =>
  Effect.forEach([0, 1, 2], (seat) =>
    Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL(`./multiLoop/${file}`, import.meta.url), { workerData: { ...data, seat } })),
      (worker) => Effect.promise(() => worker.terminate())
    )
  )

/** What each of them says. */
const answersOf = (workers: ReadonlyArray<Worker>) =>
  soon(Effect.promise(() => Promise.all(workers.map((worker) => once(worker, "message").then(([said]) => said)))))

const shared = (limit: number) => ({
  cells: SharedBudget.makeCells(3),
  inside: new Int32Array(new SharedArrayBuffer(4)),
  limit
})

describe("SharedBudget, among threads", () => {
  for (const limit of [1, 3]) {
    it.live(`lets ${limit} in at once, and everybody in the end`, () =>
      Effect.gen(function* () {
        const data = shared(limit)
        const most: ReadonlyArray<number> = yield* answersOf(
          yield* startAll("budget.worker.ts", { ...data, visitors: 20_000 })
        )
        assert.isAtMost(Math.max(...most), limit)
        assert.deepStrictEqual(SharedBudget.usage(data.cells), { held: 0, queued: 0 })
        assert.strictEqual(data.inside[0], 0)
      })
    )
  }

  it.live("gives no permit twice to threads that take at the same time", () =>
    Effect.gen(function* () {
      const data = shared(1)
      const answers: ReadonlyArray<{ readonly most: number }> = yield* answersOf(
        yield* startAll("permits.worker.ts", { ...data, rounds: 100_000 })
      )
      assert.deepStrictEqual(
        answers.map(({ most }) => most),
        answers.map(() => 1)
      )
      assert.deepStrictEqual(SharedBudget.usage(data.cells), { held: 0, queued: 0 })
    })
  )
})
