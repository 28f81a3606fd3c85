import { assert, describe, it } from "@effect/vitest"
import { figures, watchedAggregations } from "@spillway/examples/metricstream/live/figures"
import { limits } from "@spillway/examples/metricstream/query/limits"
import { openWriter } from "@spillway/examples/metricstream/storage/writer"
import { Effect } from "effect"
import { join } from "node:path"
import { copies, temporaryFolder, toColumns } from "./support/files.ts"
import { patient } from "./support/livePage.ts"
import { post, problemOf, request, retryAfterOf, start } from "./support/server.ts"
import type { Answer } from "./support/server.ts"
import { view } from "./support/viewers.ts"

/** A database with a series that takes long to read. */
const makeLarge = Effect.map(temporaryFolder, (folder) => {
  const database = join(folder, "metricstream.db")
  const writer = openWriter(database)
  for (let group = 0; group < 4; group++)
    writer.append(toColumns(copies(100_000, { name: "large", value: group }), 1000))
  writer.close()
  return database
})

describe("MetricStream that is asked for more than it can answer", () => {
  it.live("refuses what is too much, and lists and shows the series as ever", () =>
    Effect.gen(function* () {
      const { url } = yield* start(yield* makeLarge, patient)
      let refused: Answer | undefined
      const ask = Effect.map(request(`${url}/series/large?from=0&step=100d&agg=p99`), (answer) => {
        if (answer.status !== 200) refused = answer
      })
      // More than all workers and a queue hold.
      const clients = limits.workers + limits.queued + 4
      for (let client = 0; client < clients; client++) yield* Effect.forkScoped(Effect.forever(ask))
      yield* Effect.sync(() => refused).pipe(
        Effect.delay(20),
        Effect.repeat({ until: (answer) => answer !== undefined }),
        Effect.timeout("15 seconds")
      )
      problemOf(refused!, 503)
      assert.isAtLeast(retryAfterOf(refused!), 1)

      const { next } = yield* view(`${url}/live?series=watched&step=20s`)
      const waiting = 1 + figures.indexOf("waiting")
      yield* next("points", ({ data }) => data.some((point: Array<number>) => point[waiting]! > limits.queued / 2))
      const max = watchedAggregations.indexOf("max")
      for (let value = 0; value < 3; value++) {
        assert.strictEqual((yield* post(url, { name: "watched", value })).status, 202)
        yield* next("tail", ({ data }) => data.columns[max].includes(value))
        const [page, list] = [yield* request(url), yield* request(`${url}/series`)]
        assert.deepStrictEqual([page.status, list.status], [200, 200])
      }
    })
  )
})
