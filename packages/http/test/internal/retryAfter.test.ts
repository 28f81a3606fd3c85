import { assert, describe, it } from "@effect/vitest"
import { Headers } from "effect/http"
import { retryAfterMillis } from "../../src/internal/retryAfter.ts"

const wait = (headers: Record<string, string>, now = 0) => retryAfterMillis(Headers.fromInput(headers), now)

describe("retryAfter", () => {
  it("reads seconds", () => {
    assert.deepStrictEqual(
      ["0", "1", " 120 "].map((value) => wait({ "retry-after": value })),
      [0, 1000, 120_000]
    )
  })

  it("reads a date by the clock of the server if it says what time it is, else by ours", () => {
    const retryAfter = "Sun, 06 Nov 1994 08:49:37 GMT"
    const at = Date.UTC(1994, 10, 6, 8, 49, 37)
    assert.strictEqual(wait({ "retry-after": retryAfter }, at - 3000), 3000)
    assert.strictEqual(wait({ "retry-after": retryAfter }, at + 3000), 0)
    assert.strictEqual(wait({ "retry-after": retryAfter, date: "Sun, 06 Nov 1994 08:49:30 GMT" }, at + 1e9), 7000)
    assert.strictEqual(wait({ "retry-after": retryAfter, date: "now" }, at - 2000), 2000)
  })

  it("reads the longest t of the policies with nothing left when there is no Retry-After", () => {
    const cases: ReadonlyArray<[string, number | undefined]> = [
      ['"default";r=0;t=30', 30_000],
      ['"burst";r=0;t=2, "day";r=0;t=60, "hour";r=5;t=900', 60_000],
      ['"a,b;r=0;t=9";t=5;r=0', 5000],
      ['"spaces" ; r=0 ; t=2', 2000],
      ['"quo\\"ted"; r=0; t=3', 3000],
      ['"p";pk="x;t=9";r=0;t=4', 4000],
      ['"p";r=0;t=4;pk=:cHM=:', 4000],
      ['"p";r=1;t=4', undefined],
      ['"p";r=0', undefined],
      ['"p";r=0;t=-1', undefined],
      ['"p";r=0;t=1.5', undefined],
      ["limit=10, remaining=0, reset=7", undefined]
    ]
    for (const [ratelimit, expected] of cases) assert.strictEqual(wait({ ratelimit }), expected, ratelimit)
    assert.strictEqual(wait({ "retry-after": "1", ratelimit: '"p";r=0;t=4' }), 1000)
    assert.strictEqual(wait({ "retry-after": "soon", ratelimit: '"p";r=0;t=4' }), 4000)
  })

  it("says nothing for what it can not read", () => {
    for (const value of ["", "-1", "1.5", "1e3", "soon", "Infinity"]) {
      assert.isUndefined(wait({ "retry-after": value }), value)
    }
    assert.isUndefined(wait({}))
  })

  it("reads no RateLimit field that is longer than any honest one", () => {
    const policy = '"p";r=0;t=4'
    assert.strictEqual(wait({ ratelimit: policy.padEnd(1024) }), 4000)
    assert.isUndefined(wait({ ratelimit: policy.padEnd(1025) }))
    for (const part of ['"', '"\\', '"a";', '"a";b', '"a";b="', ";t=", '"a"; ;']) {
      assert.isUndefined(wait({ ratelimit: part.repeat(16_000 / part.length) }))
      assert.isUndefined(wait({ ratelimit: part.repeat(1000 / part.length) }))
    }
  })
})
