import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

/** Starts the fixture; its lines can be awaited one by one, in order. */
const start = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [new URL("./fixtures/main.ts", import.meta.url).pathname, ...args], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const exited = once(child, "exit").then(([code]) => code as number | null)
      return {
        kill: (signal: "SIGHUP" | "SIGINT" | "SIGTERM") => child.kill(signal),
        line: Effect.promise(async () => (await lines.next()).value as string | undefined),
        exited: Effect.timeout(
          Effect.promise(() => exited),
          "10 seconds"
        ),
        child
      }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("Main.run", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it.live(`drains and exits with 0 on ${signal}`, () =>
      Effect.gen(function* () {
        const program = yield* start("10")
        assert.strictEqual(yield* program.line, "started")
        program.kill(signal)
        assert.strictEqual(yield* program.line, "draining")
        assert.strictEqual(yield* program.line, "drained")
        assert.strictEqual(yield* program.exited, 0)
      })
    )
  }

  it.live("takes a signal that follows at once for the same Ctrl-C", () =>
    Effect.gen(function* () {
      const program = yield* start("300")
      yield* program.line
      program.kill("SIGINT")
      assert.strictEqual(yield* program.line, "draining")
      program.kill("SIGINT")
      assert.strictEqual(yield* program.line, "drained")
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live("exits at once with 130 on a signal that comes a second later", () =>
    Effect.gen(function* () {
      const program = yield* start("60000")
      yield* program.line
      program.kill("SIGTERM")
      assert.strictEqual(yield* program.line, "draining")
      yield* Effect.sleep("1100 millis")
      program.kill("SIGTERM")
      assert.strictEqual(yield* program.exited, 130)
    })
  )

  it.live("leaves SIGHUP to whoever else listens for it", () =>
    Effect.gen(function* () {
      const program = yield* start("10", "reload")
      assert.strictEqual(yield* program.line, "started")
      program.kill("SIGHUP")
      assert.strictEqual(yield* program.line, "reloaded")
      program.kill("SIGTERM")
      assert.strictEqual(yield* program.line, "draining")
      assert.strictEqual(yield* program.line, "drained")
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live("exits with 1 when the program fails and with 0 when it succeeds", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* (yield* start("0", "fail")).exited, 1)
      assert.strictEqual(yield* (yield* start("0", "succeed")).exited, 0)
    })
  )
})
