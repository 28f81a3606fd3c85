import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Heart } from "../src/internal/eventLoop/heart.ts"
import type { HeartOptions, Silence } from "../src/internal/eventLoop/heart.ts"
import { Cell } from "../src/internal/eventLoop/shared.ts"

const options: HeartOptions = {
  period: 25,
  threshold: 100,
  stuckAfter: Infinity,
  logInterval: Infinity,
  stack: false
}

/** The silences that a heart tells of until its watch has ended, which it does in `stand`. */
const silencesOf = (stand: (heart: Heart) => void) =>
  Effect.callback<ReadonlyArray<Silence>>((resume) => {
    const silences: Array<Silence> = []
    const heart: Heart = new Heart(options, {
      ended: (silence) => void silences.push(silence),
      // Timers come before anything else that waits: the heart beats before it hears that its watch has gone.
      watching: () => void setImmediate(stand, heart),
      lost: () => resume(Effect.succeed(silences))
    })
    return Effect.sync(() => heart.kill())
  }).pipe(Effect.timeout("20 seconds"))

describe("The heart of an event loop", () => {
  it.live("does not take for a block what its watch has not seen: it goes on first after the process stood still", () =>
    Effect.gen(function* () {
      const silences = yield* silencesOf(({ cells }) => {
        Atomics.store(cells, Cell.Stop, 1)
        Atomics.wait(cells, Cell.Stopped, 0)
        Atomics.store(cells, Cell.Armed, 1)
        // Neither does the watch run nor anything else: as if all stood still.
        Atomics.wait(cells, Cell.Label, 0, 1000)
      })
      assert.deepStrictEqual(
        silences.filter(({ blocked }) => blocked > 500),
        []
      )
    })
  )

  const knowsCpu = typeof process.threadCpuUsage === "function"
  it.live.skipIf(!knowsCpu)("takes for a block what was computed in, though its watch had no time", () =>
    Effect.gen(function* () {
      const [silence] = yield* silencesOf(({ cells }) => {
        Atomics.store(cells, Cell.Stop, 1)
        Atomics.wait(cells, Cell.Stopped, 0)
        const { user } = process.threadCpuUsage()
        while (process.threadCpuUsage().user - user < 600_000);
      })
      assert.isAbove(silence!.blocked, 500)
    })
  )

  it.live("takes for a block what its watch has seen", () =>
    Effect.gen(function* () {
      const [silence] = yield* silencesOf(({ cells }) => {
        Atomics.wait(cells, Cell.Label, 0, 2000)
        Atomics.store(cells, Cell.Stop, 1)
        Atomics.wait(cells, Cell.Stopped, 0)
      })
      assert.isAbove(silence!.blocked, 500)
    })
  )
})
