import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { RetryBudget } from "@spillway/http"

const spend = (budget: RetryBudget.RetryBudget, now: number): number => {
  let spent = 0
  while (budget.withdraw(now)) spent++
  return spent
}

describe("RetryBudget", () => {
  it("has the defaults of Finagle", () => {
    assert.deepStrictEqual(RetryBudget.defaults, { ratio: 0.2, minPerSecond: 10, window: "10 seconds" })
    const budget = RetryBudget.make()
    assert.strictEqual(spend(budget, 0), 100)
    for (let i = 0; i < 50; i++) budget.deposit(0)
    assert.strictEqual(spend(budget, 0), 10)
  })

  it("gives one repetition for so many requests, without loss by rounding", () => {
    for (const [ratio, requests] of [
      [0.1, 10],
      [0.2, 5],
      [0.3, 10],
      [0.29, 100]
    ] as const) {
      const budget = RetryBudget.make({ ratio, minPerSecond: 0 })
      for (let i = 0; i < requests; i++) budget.deposit(0)
      assert.strictEqual(spend(budget, 0), Math.round(requests * ratio))
    }
  })

  it("gives nothing before there are enough requests, and nothing at all with 0 and 0", () => {
    const budget = RetryBudget.make({ minPerSecond: 0 })
    for (let i = 0; i < 4; i++) budget.deposit(0)
    assert.isFalse(budget.withdraw(0))
    budget.deposit(0)
    assert.deepStrictEqual([budget.withdraw(0), budget.withdraw(0)], [true, false])
    const none = RetryBudget.make({ ratio: 0, minPerSecond: 0 })
    none.deposit(0)
    assert.isFalse(none.withdraw(0))
  })

  it("is without limit when the minimum is infinite", () => {
    const budget = RetryBudget.make({ minPerSecond: Infinity })
    for (let i = 0; i < 1000; i++) assert.isTrue(budget.withdraw(i))
  })

  it("forgets requests and repetitions after the window", () => {
    const budget = RetryBudget.make({ ratio: 1, minPerSecond: 0, window: "1 second" })
    budget.deposit(0)
    assert.isAtLeast(budget.balance(999), 1)
    assert.isBelow(budget.balance(1000), 1)
    const reserve = RetryBudget.make({ ratio: 0, minPerSecond: 5, window: "1 second" })
    assert.strictEqual(spend(reserve, 0), 5)
    assert.strictEqual(spend(reserve, 999), 0)
    assert.strictEqual(spend(reserve, 1000), 5)
    assert.strictEqual(spend(reserve, 1e9), 5)
  })

  it("refuses options outside their range", () => {
    const bad: ReadonlyArray<[RetryBudget.Options, string]> = [
      [{ ratio: -1 }, "ratio must be a finite number >= 0, got -1"],
      [{ ratio: Infinity }, "ratio must be a finite number >= 0, got Infinity"],
      [{ minPerSecond: NaN }, "minPerSecond must be a number >= 0, got NaN"],
      [{ window: 999 }, "window must be from 1 to 60 seconds, got 999"],
      [{ window: "61 seconds" }, "window must be from 1 to 60 seconds, got 61 seconds"]
    ]
    for (const [options, message] of bad) {
      assert.throws(() => RetryBudget.make(options), RangeError, `RetryBudget.make: ${message}`)
    }
  })

  const Step = Schema.Struct({
    pass: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 700 })),
    requests: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
  })

  it.prop(
    "gives no more than the requests of the window and the reserve are worth, with those given before",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const budget = RetryBudget.make({ ratio: 0.2, minPerSecond: 2, window: "1 second" })
      const log: Array<{ readonly now: number; readonly requests: number; readonly spent: number }> = []
      let now = 0
      for (const { pass, requests } of steps) {
        now += pass
        for (let i = 0; i < requests; i++) budget.deposit(now)
        const spent = spend(budget, now)
        log.push({ now, requests, spent })
        if (spent === 0) continue
        // The window is kept in slices of a tenth.
        const recent = log.filter((entry) => Math.floor(entry.now / 100) > Math.floor(now / 100) - 10)
        const sum = (of: "requests" | "spent") => recent.reduce((total, entry) => total + entry[of], 0)
        assert.isAtMost(sum("spent"), 2 + 0.2 * sum("requests") + 1e-6)
      }
    },
    { arbitrary: { runs: 500, size: 60 } }
  )
})
