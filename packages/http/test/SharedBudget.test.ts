import { Admission, SharedBudget } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

/** Longer than a permit is left to a loop that was woken for it. */
const longerThanGrace = 6

/** A door of one loop, whose event loop turns when the test says so. */
class Loop {
  readonly door: Admission.Admission
  readonly budget: SharedBudget.SharedBudget
  readonly inside: Array<Guest> = []
  readonly waiting = new Map<Guest, Admission.Ticket>()
  blocked = false
  #turns: Array<() => void> = []
  #wakes = 0

  constructor(
    cells: Int32Array,
    seat: number,
    limits: { readonly limit: number; readonly maxQueued: number },
    now: () => number
  ) {
    this.budget = SharedBudget.make({ cells, seat, now, ...limits })
    this.#wakes = this.budget.wakes
    this.door = Admission.make({
      maxConcurrent: limits.limit,
      maxQueued: limits.maxQueued,
      maxWait: Infinity,
      now,
      random: () => 0.5,
      defer: (run) => this.#turns.push(run),
      budget: this.budget
    })
    // What is watched is simulated here.
    void this.door.expire
  }

  enter(): Guest {
    const guest = new Guest(this)
    const ticket = this.door.enter(guest)
    if (ticket !== undefined) this.waiting.set(guest, ticket)
    return guest
  }

  leave(): void {
    if (this.inside.shift() !== undefined) this.door.leave(1)
  }

  /** One of those inside gives its permit up and asks for it again, as if its body had arrived. */
  resume(): void {
    const guest = this.inside.shift()
    if (guest === undefined) return
    this.door.pause()
    const ticket = this.door.resume(guest)
    if (ticket !== undefined) this.waiting.set(guest, ticket)
  }

  cancel(): void {
    const [guest] = this.waiting.keys()
    if (guest === undefined) return
    this.door.cancel(this.waiting.get(guest)!)
    this.waiting.delete(guest)
  }

  /** Does what is to be done now. */
  turn(now: number): void {
    if (this.blocked) return
    for (const run of this.#turns.splice(0)) run()
    const woken = this.budget.wakes !== this.#wakes
    this.#wakes = this.budget.wakes
    if (woken) this.budget.wakeUp()
    if (now >= this.budget.retryAt) this.budget.retry()
  }
}

class Guest implements Admission.Visitor {
  readonly #loop: Loop
  outcome: "waits" | "admitted" | Admission.Refusal = "waits"
  constructor(loop: Loop) {
    this.#loop = loop
  }
  admitted() {
    this.outcome = "admitted"
    this.#loop.waiting.delete(this)
    this.#loop.inside.push(this)
  }
  refused(reason: Admission.Refusal) {
    this.outcome = reason
    this.#loop.waiting.delete(this)
  }
}

const setUp = (count: number, limit: number, maxQueued = 100) => {
  const cells = SharedBudget.makeCells(count)
  const time = { now: 0 }
  const make = (seat: number) => new Loop(cells, seat, { limit, maxQueued }, () => time.now)
  const loops = Array.from({ length: count }, (_, seat) => make(seat))
  /** Lets every loop turn for longer than any of them needs. */
  const settle = () => {
    const wakes = () => loops.reduce((sum, { budget }) => sum + budget.wakes, 0)
    const before = wakes()
    for (let round = 0; round < 40; round++) {
      for (const loop of loops) loop.turn(time.now)
      time.now += longerThanGrace / 3
    }
    assert.isBelow(wakes() - before, 40, "the loops keep each other awake")
  }
  const die = (seat: number) => {
    SharedBudget.clearSeat(cells, seat)
    loops[seat] = make(seat)
  }
  return { cells, die, loops, settle, time }
}

const inside = (loops: ReadonlyArray<Loop>) => loops.reduce((sum, loop) => sum + loop.inside.length, 0)

const actions = [
  "enter",
  "enter",
  "enter",
  "leave",
  "leave",
  "turn",
  "turn",
  "cancel",
  "resume",
  "block",
  "unblock",
  "die",
  "settle"
] as const
/** Numbers below 1 from a seed (mulberry32). */
const randomFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

describe("SharedBudget", () => {
  it("keeps the limit and the bound of the queue for all doors together", () => {
    const { cells, loops } = setUp(2, 2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    assert.deepStrictEqual(
      [a.enter(), b.enter(), b.enter(), a.enter(), b.enter()].map(({ outcome }) => outcome),
      ["admitted", "admitted", "waits", "QueueFull", "QueueFull"]
    )
    assert.deepStrictEqual(SharedBudget.usage(cells), { held: 2, queued: 1 })
  })

  it("gives a permit to the door whose first one has waited longest", () => {
    const { loops, settle, time } = setUp(2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    const waiters = [b, a, b, a].map((loop) => {
      time.now += 10
      return loop.enter()
    })
    const order: Array<number> = []
    for (let i = 0; i < waiters.length; i++) {
      for (const loop of loops) loop.leave()
      settle()
      waiters.forEach(({ outcome }, n) => outcome === "admitted" && !order.includes(n) && order.push(n))
    }
    assert.deepStrictEqual(order, [0, 1, 2, 3])
  })

  it("lets nobody wait for another loop while there is a permit for each", () => {
    const { cells, loops, time } = setUp(2, 4)
    const [a, b] = [loops[0]!, loops[1]!]
    // The loop is busy: who comes waits for its turn, not for a permit.
    a.door.accepted()
    a.enter()
    time.now++
    const outcomes = [b.enter(), b.enter(), b.enter()].map(({ outcome }) => outcome)
    assert.deepStrictEqual(outcomes, ["admitted", "admitted", "waits"])
    assert.deepStrictEqual(SharedBudget.usage(cells), { held: 2, queued: 0 })
    assert.strictEqual(a.budget.wakes + b.budget.wakes, 1)
  })

  it("does not let a newcomer of one door overtake those who wait at another", () => {
    const { loops, settle, time } = setUp(2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    const waits = b.enter()
    time.now++
    a.leave()
    const newcomer = a.enter()
    settle()
    assert.deepStrictEqual([waits.outcome, newcomer.outcome], ["admitted", "waits"])
  })

  it("lets those who resume come before those who wait at other doors", () => {
    const { loops, settle } = setUp(2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    a.door.pause()
    const paused = a.inside.shift()!
    b.enter()
    const waits = b.enter()
    a.waiting.set(paused, a.door.resume(paused)!)
    b.leave()
    settle()
    assert.deepStrictEqual([a.inside.length, waits.outcome], [1, "waits"])
  })

  it("passes over a door whose loop does not turn", () => {
    const { loops, settle, time } = setUp(2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    b.enter()
    b.blocked = true
    time.now++
    const waits = a.enter()
    a.leave()
    settle()
    assert.strictEqual(waits.outcome, "admitted")
  })

  it("wakes the next door when the one that was woken does not come", () => {
    const { loops, settle, time } = setUp(3, 1)
    const [a, b, c] = [loops[0]!, loops[1]!, loops[2]!]
    a.enter()
    b.enter()
    b.blocked = true
    time.now++
    const waits = c.enter()
    a.leave()
    settle()
    assert.strictEqual(waits.outcome, "admitted")
  })

  it("gives back what a loop held that died, to those who wait", () => {
    const { cells, die, loops, settle } = setUp(2, 2)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    a.enter()
    a.enter()
    const waits = b.enter()
    die(0)
    settle()
    assert.strictEqual(waits.outcome, "admitted")
    assert.deepStrictEqual(SharedBudget.usage(cells), { held: 1, queued: 0 })
  })

  it("estimates Retry-After from those who wait at all doors", () => {
    const { loops, settle, time } = setUp(2, 1)
    const [a, b] = [loops[0]!, loops[1]!]
    a.enter()
    a.inside.shift()
    a.door.leave(4000)
    settle()
    a.enter()
    for (let i = 0; i < 4; i++) b.enter()
    assert.strictEqual(a.door.retryAfterSeconds(), 20)
    assert.isBelow(time.now, 1000)
  })

  it("throws a RangeError for a seat that there is not", () => {
    assert.throws(
      () => SharedBudget.make({ cells: SharedBudget.makeCells(1), seat: 1, limit: 1, maxQueued: 1, now: () => 0 }),
      RangeError,
      "seat"
    )
  })

  it.prop(
    "is never above the limit, leaves no permit unused that somebody waits for, and gets all back",
    {
      limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })),
      seed: Schema.Int.check(Schema.isBetween({ minimum: -(2 ** 31), maximum: 2 ** 31 }))
    },
    ({ limit, seed }) => {
      const random = randomFrom(seed)
      const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!
      const { cells, die, loops, settle, time } = setUp(3, limit, 5)
      const check = () => {
        assert.isAtMost(inside(loops), limit)
        assert.deepStrictEqual(SharedBudget.usage(cells).held, inside(loops))
        assert.isAtMost(SharedBudget.usage(cells).queued, 5)
      }
      for (let step = 0; step < 200; step++) {
        const [action, seat] = [pick(actions), pick([0, 1, 2])]
        const loop = loops[seat]!
        time.now++
        if (action === "die") die(seat)
        else if (action === "settle") {
          settle()
          const waits = loops.some((loop) => !loop.blocked && loop.waiting.size > 0)
          if (waits) assert.strictEqual(inside(loops), limit)
        } else if (action === "block") loop.blocked = true
        else if (action === "unblock") loop.blocked = false
        else if (action === "turn") loop.turn(time.now)
        else if (!loop.blocked) loop[action]()
        check()
      }
      for (const loop of loops) loop.blocked = false
      settle()
      for (let left = 200; left > 0 && loops.some((loop) => loop.inside.length > 0); left--) {
        for (const loop of loops) loop.leave()
        settle()
        check()
      }
      assert.deepStrictEqual(
        loops.map(({ waiting }) => waiting.size),
        [0, 0, 0]
      )
      assert.deepStrictEqual(SharedBudget.usage(cells), { held: 0, queued: 0 })
    },
    { arbitrary: { runs: 300 } }
  )
})
