import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { names } from "@spillway/examples/architectures/settings"
import { get } from "../support/example.ts"
import { launch, leaving, untilStats } from "./support.ts"

const json = { "content-type": "application/json" }

describe("architectures", () => {
  for (const name of names) {
    const servesAll = Effect.gen(function* () {
      const { pid, url } = yield* launch(name)
      const statusOf = (path: string, init?: RequestInit) => Effect.map(get(`${url}${path}`, init), (one) => one.status)
      const post = (body: string, headers: Record<string, string> = json) =>
        get(`${url}/events`, { method: "POST", body, headers })

      assert.strictEqual((yield* get(url)).body, `Hello from ${name} server`)
      assert.strictEqual((yield* get(`${url}/fast`)).body, "Fast response!")
      assert.strictEqual(yield* statusOf("/sleep?ms=1"), 200)
      assert.strictEqual(yield* statusOf("/cpu?ms=1"), 200)
      for (const bad of ["-1", "60001", "abc", "1.5", "", "1&ms=2"]) {
        assert.strictEqual(yield* statusOf(`/sleep?ms=${bad}`), 400, bad)
        assert.strictEqual(yield* statusOf(`/cpu?ms=${bad}`), 400, bad)
      }

      const bytes = randomBytes(300_000)
      const echoed = yield* Effect.promise(async () => {
        const response = await fetch(`${url}/echo`, { method: "POST", body: bytes })
        return Buffer.from(await response.arrayBuffer())
      })
      assert.isTrue(echoed.equals(bytes))

      assert.strictEqual(yield* statusOf("/echo", { method: "POST", body: randomBytes(1024 ** 2 + 1) }), 413)

      const one = yield* post('{"name":"a","value":1}')
      assert.deepStrictEqual([one.status, one.body], [202, '{"accepted":1}'])
      assert.strictEqual((yield* post('[{"name":"a","value":1},{"name":"b","value":2}]')).body, '{"accepted":2}')
      assert.strictEqual((yield* post('{"name":"a"}')).status, 422)
      assert.strictEqual((yield* post('{"name":')).status, 400)
      assert.strictEqual((yield* post("a=1", { "content-type": "text/plain" })).status, 415)

      const missing = yield* get(`${url}/nothing`)
      assert.deepStrictEqual([missing.status, missing.headers.get("content-type")], [404, "application/problem+json"])
      assert.strictEqual(yield* statusOf("/fast", { method: "DELETE" }), 405)
      assert.strictEqual(yield* statusOf("/livez"), 200)
      assert.strictEqual(yield* statusOf("/readyz"), 200)

      const stats = yield* untilStats(url, ({ active }) => active === 0)
      const fields =
        "architecture pid workers active maxActive queued processed rejected interrupted respawns openConnections eventLoopDelayP99Ms"
      assert.strictEqual(Object.keys(stats).join(" "), fields)
      const { architecture, interrupted, processed, rejected, respawns } = stats
      // Every request above but the probes.
      assert.deepStrictEqual(
        { architecture, pid: stats.pid, processed, rejected, interrupted, respawns },
        { architecture: name, pid, processed: 25, rejected: 0, interrupted: 0, respawns: 0 }
      )
      // Once, however many threads there are: whoever scrapes adds up what differs in labels only.
      const exported = (yield* get(`${url}/metrics`)).body.match(/^architecture_processed_requests_total.*$/gm)
      const labels = name === "multi-loop" ? '{loop="main"}' : ""
      assert.deepStrictEqual(exported, [`architecture_processed_requests_total${labels} 25`])
    })

    // Beside other tests a thread takes a second to make, and this makes 30.
    it.live(`${name} serves every route`, () => servesAll, 90_000)

    it.live(`${name} interrupts the handler of a client that goes away, and counts it once`, () =>
      Effect.gen(function* () {
        const { url } = yield* launch(name, name === "thread-pool" ? { ARCHITECTURE_WORKERS: "2" } : {})
        for (const [gone, how] of [
          [1, "end"],
          [2, "reset"]
        ] as const) {
          const leave = yield* leaving(url, "/sleep?ms=60000", how)
          // The sequential server answers nobody meanwhile: its client leaves when it must have begun.
          if (name === "sequential") yield* Effect.sleep("500 millis")
          else yield* untilStats(url, ({ active }) => active === 1)
          yield* leave
          const { active, interrupted, processed } = yield* untilStats(url, (stats) => stats.interrupted >= gone)
          assert.deepStrictEqual({ active, interrupted, processed }, { active: 0, interrupted: gone, processed: 0 })
        }
      })
    )
  }
})
