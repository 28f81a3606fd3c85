import { assert, describe, it } from "@effect/vitest"
import { InsideTime } from "../../src/internal/insideTime.ts"

describe("InsideTime", () => {
  it("counts each for as long as it was inside", () => {
    const time = new InsideTime()
    assert.strictEqual(time.mean, 0)
    for (let i = 0; i < 300; i++) time.add(1)
    time.add(300)
    // Of those found inside, half are the one that stays.
    assert.strictEqual(time.mean, (300 + 300 * 300) / 600)
  })

  it("forgets those of long ago", () => {
    const time = new InsideTime()
    time.add(500)
    time.pass(1000)
    time.add(500)
    assert.closeTo(time.mean, 500, 1e-9)
    for (let i = 0; i < 20; i++) time.pass(1000)
    time.add(1)
    assert.closeTo(time.mean, 1, 0.01)
    time.add(0)
    time.pass(1e9)
    assert.strictEqual(time.mean, 0)
  })
})
