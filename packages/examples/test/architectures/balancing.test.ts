import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { all, balancings } from "@spillway/examples/architectures/balancing/balancing"
import { makeOverloadAlarm } from "@spillway/examples/architectures/balancing/overloadAlarm"
import { closed, WorkQueues } from "@spillway/examples/architectures/balancing/workQueues"

/** Workers that say what they got, and are busy until they ask again. */
const crew = (balancing: keyof typeof all, workers: number, maxQueued = Infinity) => {
  const queues = new WorkQueues<number>(workers, maxQueued, all[balancing])
  return { queues, next: (worker: number) => Effect.forkChild(queues.take(worker), { startImmediately: true }) }
}

describe("WorkQueues", () => {
  for (const name of balancings) {
    it.effect.prop(
      `${name} hands out each task once, and all of them`,
      {
        workers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })),
        tasks: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
      },
      ({ tasks, workers }) =>
        Effect.gen(function* () {
          const { queues } = crew(name, workers)
          const taken: Array<number> = []
          const work = (worker: number) =>
            Effect.gen(function* () {
              for (;;) {
                const task = yield* queues.take(worker)
                if (task === closed) return
                taken.push(task)
                yield* Effect.yieldNow
              }
            })
          const working = yield* Effect.forkChild(
            Effect.forEach(
              Array.from({ length: workers }, (_, index) => index),
              work,
              { concurrency: "unbounded" }
            ),
            { startImmediately: true }
          )
          for (let task = 0; task < tasks; task++) assert.isTrue(queues.offer(task))
          queues.close()
          yield* Fiber.join(working)
          assert.deepStrictEqual(
            taken.toSorted((a, b) => a - b),
            Array.from({ length: tasks }, (_, index) => index)
          )
          assert.isFalse(queues.offer(0))
        })
    )

    it(`${name} lets no more wait than it may`, () => {
      const { queues } = crew(name, 3, 2)
      assert.deepStrictEqual([queues.offer(1), queues.offer(2), queues.offer(3)], [true, true, false])
      assert.strictEqual(queues.size, 2)
    })

    it.effect(`${name} gives a task to a worker that waits, though nothing may queue`, () =>
      Effect.gen(function* () {
        const { next, queues } = crew(name, 1, 0)
        const worker = yield* next(0)
        assert.strictEqual(queues.busy, 0)
        assert.isTrue(queues.offer(7))
        assert.strictEqual(queues.busy, 1)
        assert.strictEqual(yield* Fiber.join(worker), 7)
        assert.isFalse(queues.offer(8))
      })
    )

    it.effect(`${name} gives nothing to a worker that has been interrupted`, () =>
      Effect.gen(function* () {
        const { next, queues } = crew(name, 1)
        yield* Fiber.interrupt(yield* next(0))
        queues.offer(7)
        assert.strictEqual(yield* queues.take(0), 7)
      })
    )
  }

  it.effect("round-robin lets a task wait behind a long one while another worker has nothing to do", () =>
    Effect.gen(function* () {
      const { next, queues } = crew("round-robin", 2)
      const [busy, idle] = [yield* next(0), yield* next(1)]
      for (const task of [1, 2, 3]) queues.offer(task)
      assert.deepStrictEqual([yield* Fiber.join(busy), yield* Fiber.join(idle)], [1, 2])
      const again = yield* next(1)
      assert.isUndefined(again.pollUnsafe())
      assert.strictEqual(yield* queues.take(0), 3)
    })
  )

  for (const name of ["shared-queue", "work-stealing", "least-busy"] as const) {
    it.effect(`${name} does not`, () =>
      Effect.gen(function* () {
        const { next, queues } = crew(name, 2)
        const [busy, idle] = [yield* next(0), yield* next(1)]
        for (const task of [1, 2]) queues.offer(task)
        yield* Fiber.join(busy)
        yield* Fiber.join(idle)
        const again = yield* next(1)
        queues.offer(3)
        assert.strictEqual(yield* Fiber.join(again), 3)
      })
    )
  }

  it.effect("work-stealing takes the oldest task of the longest queue", () =>
    Effect.gen(function* () {
      const { queues } = crew("work-stealing", 2)
      for (const task of [1, 2, 3, 4]) queues.offer(task)
      assert.deepStrictEqual([yield* queues.take(0), yield* queues.take(0), yield* queues.take(0)], [1, 3, 2])
    })
  )

  it.effect("two-choices mostly finds a worker that has less to do", () =>
    Effect.gen(function* () {
      const { queues } = crew("two-choices", 8)
      for (let task = 0; task < 800; task++) queues.offer(task)
      // Left to chance alone the longest of 8 queues would have about 115.
      const lengths: Array<number> = []
      for (let worker = 0; worker < 8; worker++) {
        let length = 0
        while ((yield* Effect.timeoutOption(queues.take(worker), 0))._tag === "Some") length++
        lengths.push(length)
      }
      assert.isAtMost(Math.max(...lengths), 106)
    })
  )
})

describe("makeOverloadAlarm", () => {
  it("tells once when more than 80 % are busy, and again when fewer than 60 % were", () => {
    const isOverloaded = makeOverloadAlarm(10)
    const told = [1, 8, 9, 10, 6, 9, 5, 8, 9].map(isOverloaded)
    assert.deepStrictEqual(told, [false, false, true, false, false, false, false, false, true])
  })
})
