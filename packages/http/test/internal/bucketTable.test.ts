import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { BucketTable } from "../../src/internal/rateLimit/bucketTable.ts"
import { toRules } from "../../src/internal/rateLimit/rules.ts"

const rules = toRules("test", [
  { name: "short", limit: 10, burst: 20 },
  { name: "long", limit: 100, window: "1 minute" }
])
const horizons = rules.map(({ horizon }) => horizon)

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** Numbers from 0 to 1 that follow from a seed (mulberry32): long sequences, which fast-check would keep short. */
const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const pauses = [0, 0, 0, 1, 50, 700, 5000]

describe("BucketTable", () => {
  it.prop(
    "holds at most its keys, knows them exactly, and forgets only full ones or whoever lacks the least",
    [Schema.Int],
    ([seed]) => {
      const random = randomOf(seed)
      const table = new BucketTable(rules, 6)
      const model = new Map<string, ReadonlyArray<number>>()
      let now = 12_345
      for (let step = 0; step < 100; step++) {
        const key = Math.floor(random() * 16)
        const fill = random() < 0.1 ? 0 : random()
        const pause = random() < 0.01 ? 70_000 : pauses[Math.floor(random() * pauses.length)]!
        now += pause
        const debts = horizons.map((horizon, i) => horizon * (i === 0 ? fill : fill * fill))
        table.set(String(key), debts, now)
        if (fill > 0)
          model.set(
            String(key),
            debts.map((debt) => now + debt)
          )
        else model.delete(String(key))
        assert.isAtMost(table.size, 6)
        const lacks = (fullAt: ReadonlyArray<number>) => Math.max(0, ...fullAt.map((at) => at - now))
        const gone: Array<number> = []
        for (const [key, fullAt] of model) {
          const known = table.debts(key, now)
          const expected = fullAt.map((at) => Math.max(0, at - now))
          if (known.some((debt) => debt > 0)) {
            assert.isTrue(known.every((debt, i) => Math.abs(debt - expected[i]!) < 1e-6))
          } else if (lacks(fullAt) > 0) gone.push(lacks(fullAt))
          if (!known.some((debt) => debt > 0)) model.delete(key)
        }
        assert.isAtMost(gone.length, 1)
        const others = [...model].filter(([other]) => other !== String(key)).map(([, fullAt]) => lacks(fullAt))
        for (const lacked of gone) for (const other of others) assert.isAtMost(lacked, other + table.slotMillis)
      }
    }
  )

  it("is bounded in memory under a flood of a million clients, and gives it back afterwards", () => {
    const table = new BucketTable(rules, 50_000)
    const debts = rules.map(({ perToken }) => perToken)
    const parent = "x".repeat(2048)
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000_000; i++) {
      // As cut out of a header field: a view of the whole field for V8.
      table.set(`${parent}${i} some key of a client`.slice(2048), debts, i / 1000)
    }
    collectGarbage()
    const bytes = (process.memoryUsage().heapUsed - before) / 50_000
    console.log(
      `BucketTable: ${table.size} clients of a million are remembered, ${Math.round(bytes)} bytes of heap each`
    )
    assert.strictEqual(table.size, 50_000)
    // A view for each would be 2 KiB more.
    assert.isAtMost(bytes, 1000)
    for (let i = 0; i < 50_000; i++) table.set("a client", debts, 100_000 + i)
    assert.isAtMost(table.size, 2)
  })
})
