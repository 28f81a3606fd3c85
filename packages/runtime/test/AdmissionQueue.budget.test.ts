import { assert, describe, it } from "@effect/vitest"
import * as AdmissionQueue from "@spillway/runtime/AdmissionQueue"

/** Permits and places that a queue shares with others, of which these tests have none. */
const makeBudget = (permits: number, places: number) => ({
  permits,
  places,
  queued: 0,
  take() {
    return this.permits > 0 && this.permits-- > 0
  },
  give() {
    this.permits++
  },
  enqueue() {
    return this.places > 0 && this.places-- > 0
  },
  dequeue() {
    this.places++
  }
})

const states = (queue: AdmissionQueue.AdmissionQueue<string>, now: number) => {
  const decided: Array<AdmissionQueue.State> = []
  for (let entry = queue.poll(now); entry !== undefined; entry = queue.poll(now)) decided.push(entry.state)
  return decided
}

describe("AdmissionQueue with a budget", () => {
  it("lets wait what the budget has no permit for, and refuses what it has no place for", () => {
    const budget = makeBudget(1, 1)
    const queue = AdmissionQueue.make<string>({ limit: 9, maxQueued: 9, budget })
    const offered = ["a", "b", "c"].map((value) => queue.offer(value, 0).state)
    assert.deepStrictEqual(offered, ["Admitted", "Waiting", "QueueFull"])
    assert.deepStrictEqual(states(queue, 0), [])
    queue.release(1)
    assert.deepStrictEqual(states(queue, 0), ["Admitted"])
    assert.deepStrictEqual([budget.permits, budget.places], [0, 1])
  })

  it("gives the permit back by which it found out that one is to be shed", () => {
    const budget = makeBudget(1, 99)
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 99, budget, codel: {} })
    for (let i = 0; i < 9; i++) queue.offer("a", 0)
    const decided = [20, 70, 120, 125].map((now) => {
      queue.release(5)
      const decided = states(queue, now)
      assert.strictEqual(budget.permits + queue.running, 1)
      return decided
    })
    assert.deepStrictEqual([decided[3]![0], decided[3]!.at(-1)], ["Shed", "Admitted"])
    assert.strictEqual(budget.places + queue.queued, 99)
  })

  it("gives each place back once, also of one that comes back by requeue", () => {
    const budget = makeBudget(1, 2)
    const queue = AdmissionQueue.make<string>({ limit: 1, maxQueued: 2, budget })
    const [a, b] = ["a", "b"].map((value) => queue.enqueue(value, 0))
    assert.strictEqual(budget.places, 0)
    assert.deepStrictEqual(states(queue, 0), ["Admitted"])
    queue.requeue(a!)
    assert.deepStrictEqual(states(queue, 0), ["Admitted"])
    assert.deepStrictEqual([budget.permits, budget.places], [0, 1])
    queue.cancel(b!)
    assert.strictEqual(budget.places, 2)
  })

  it("leaves its places to others for what is not bounded", () => {
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 2 })
    const states = [false, false, true, true, true].map((bounded, i) => queue.enqueue(`${i}`, 0, 0, 0, bounded).state)
    assert.deepStrictEqual(states, ["Waiting", "Waiting", "Waiting", "Waiting", "QueueFull"])
    assert.strictEqual(queue.queued, 4)
    for (const value of ["0", "1"]) assert.strictEqual(queue.poll(0)?.value, value)
    assert.strictEqual(queue.enqueue("5", 0).state, "QueueFull")
    queue.release(1)
    assert.strictEqual(queue.poll(0)?.value, "2")
    assert.strictEqual(queue.enqueue("6", 0).state, "Waiting")
  })

  it("takes no place for what is not bounded, and for what was readmitted", () => {
    const budget = makeBudget(2, 0)
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 2, budget })
    assert.strictEqual(queue.enqueue("a", 0, 0, 0, false).state, "Waiting")
    queue.readmit("b")
    assert.deepStrictEqual(states(queue, 0), ["Admitted", "Admitted"])
    assert.strictEqual(budget.places, 0)
  })

  it("estimates the wait by all who wait for the budget", () => {
    const budget = { ...makeBudget(2, 9), queued: 9 }
    const queue = AdmissionQueue.make<string>({ limit: 2, maxQueued: 9, budget })
    queue.offer("a", 0)
    queue.release(100)
    assert.strictEqual(queue.retryAfter(), (10 * 100) / 2)
  })
})
