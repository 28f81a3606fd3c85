import { assert, describe, it } from "@effect/vitest"
import { allowance } from "../../src/internal/pace.ts"
import { Sweep } from "../../src/internal/sweep.ts"
import type { Swept } from "../../src/internal/sweep.ts"

class Item implements Swept {
  previous = undefined
  next = undefined
  readonly times: Array<number> = []
  readonly #then: ((item: Item) => void) | undefined

  constructor(then?: (item: Item) => void) {
    this.#then = then
  }

  sweep(now: number): void {
    this.times.push(now)
    this.#then?.(this)
  }
}

/** Turns the wheel tick by tick, 50 ms each, from a time on. */
const turn = (sweep: Sweep, from: number, ticks: number): number => {
  for (let tick = 1; tick <= ticks; tick++) sweep.tick(from + tick * 50)
  return from + ticks * 50
}

describe("Sweep", () => {
  const make = () => new Sweep(() => 0)

  it("looks at a thing when it was told to, and each second from then on", () => {
    for (const [millis, first] of [
      [undefined, 1000],
      [1, 50],
      [50, 50],
      [51, 100],
      [250, 250],
      [1000, 1000],
      [5000, 1000]
    ] as const) {
      const sweep = make()
      const item = new Item()
      turn(sweep, 0, 7)
      sweep.schedule(item, millis)
      turn(sweep, 0, 60)
      assert.deepStrictEqual(
        item.times,
        [first, first + 1000, first + 2000].filter((time) => time <= 3000)
      )
    }
  })

  it("forgets what was removed, moves what is scheduled again, and bears both while it looks", () => {
    const sweep = make()
    const gone = new Item()
    const moved = new Item()
    const others = Array.from({ length: 5 }, () => new Item())
    const remover = new Item(() => {
      sweep.remove(gone)
      sweep.remove(gone)
      sweep.schedule(moved, 100)
    })
    for (const item of [remover, gone, moved, ...others]) sweep.schedule(item, 500)
    turn(sweep, 0, 20)
    assert.deepStrictEqual([gone.times, moved.times], [[], [600]])
    for (const { times } of others) assert.deepStrictEqual(times, [500])
  })

  it("does not look twice at what schedules itself for the same slot", () => {
    const sweep = make()
    const item = new Item((self) => sweep.schedule(self, 1000))
    sweep.schedule(item, 50)
    turn(sweep, 0, 41)
    assert.deepStrictEqual(item.times, [50, 1050, 2050])
  })
})

describe("allowance", () => {
  const pace = { bytesPerSecond: 100, graceMillis: 5000 }

  it("loses the time that is waited, and gains what the bytes may take", () => {
    assert.strictEqual(allowance(5000, 1000, 0, pace), 4000)
    assert.strictEqual(allowance(4000, 1000, 50, pace), 3500)
    assert.strictEqual(allowance(3000, 1000, 100, pace), 3000)
  })

  it("never cuts off who is at the rate, and never holds more than the grace", () => {
    let left = pace.graceMillis
    for (let second = 0; second < 1000; second++) left = allowance(left, 1000, 100, pace)
    assert.strictEqual(left, 5000)
    assert.strictEqual(allowance(1, 1000, 1_000_000, pace), 5000)
  })

  it("charges no more than one period for a time in which we stood still", () => {
    assert.strictEqual(allowance(5000, 60_000, 0, pace), 4000)
  })

  it("asks for nothing at a rate of 0", () => {
    assert.strictEqual(allowance(0, 1000, 0, { ...pace, bytesPerSecond: 0 }), 5000)
  })
})
