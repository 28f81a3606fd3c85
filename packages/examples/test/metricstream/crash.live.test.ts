import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "./support/files.ts"
import { assertStored, startLoad } from "./support/load.ts"
import { post, request, start } from "./support/server.ts"

const preload = new URL("./support/crash.ts", import.meta.url).href

const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(
    Effect.delay(10),
    Effect.repeat({ until: (holds) => holds }),
    Effect.timeout("20 seconds")
  )

describe("MetricStream whose storage worker ends under load", () => {
  for (const order of ["before", "after"]) {
    it.live(
      `answers 503 to the group that was being stored, ${order} its commit, loses nothing acknowledged, and goes on`,
      () =>
        Effect.gen(function* () {
          const folder = yield* temporaryFolder
          const [database, file] = [join(folder, "metricstream.db"), join(folder, "crash")]
          const { end, url } = yield* start(database, { NODE_OPTIONS: `--import ${preload}`, CRASH_FILE: file })
          const load = yield* startLoad(url, 20)
          yield* load.untilAcknowledged(100)
          for (let crash = 1; crash <= 2; crash++) {
            const refused = load.refused.length
            writeFileSync(file, order)
            yield* until(() => !existsSync(file))
            // Its group got an answer, and what came after it was stored by the thread that took its place.
            yield* until(() => load.refused.length > refused)
            yield* load.untilAcknowledged(load.acknowledged.length + 100)
          }
          yield* load.stop
          yield* load.ended
          assert.deepStrictEqual([...new Set(load.refused)], [503])
          assertStored(database, load.acknowledged)
          assert.strictEqual((yield* post(url, { name: "after", value: 1 })).status, 202)
          const { text } = yield* request(`${url}/metrics`)
          assert.match(text, /spillway_offload_workers_ended_total\{[^}]*cause="crashed"[^}]*\} 2\n/)
          assert.match(text, /metricstream_events_refused_total\{[^}]*reason="Storage"[^}]*\} [1-9]/)
          assert.strictEqual(yield* end("SIGTERM"), 0)
          assertStored(database, load.acknowledged)
        })
    )
  }
})
