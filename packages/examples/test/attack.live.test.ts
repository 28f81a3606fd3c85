import { program } from "@spillway/examples/attack"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

describe("attack", () => {
  it.live("the server ends the slow clients and answers every request of the one that behaves", () =>
    Effect.gen(function* () {
      const { load, silent, slowHeaders, slowReaders } = yield* Effect.timeout(program, "25 seconds")
      for (const attack of [silent, slowHeaders]) {
        assert.deepStrictEqual(attack.endings, { refused: 0, closed: 50, reset: 0, open: 0 })
        assert.isAtLeast(attack.endedAfterMillis!.min, 900)
      }
      assert.deepStrictEqual(slowHeaders.statuses, { 408: 50 })
      assert.strictEqual(slowReaders.endings.refused, 0)
      assert.deepStrictEqual([load.statuses, load.useful], [{ 200: load.offered }, load.offered])
      assert.isAtLeast(load.offered, 300)
    })
  )
})
