import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const file = new URL("../src/eventLoop.ts", import.meta.url).pathname

const started = Effect.acquireRelease(
  Effect.sync(() => {
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"]
    })
    return {
      child,
      exited: once(child, "exit"),
      lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    }
  }),
  ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
)

describe("the eventLoop example", () => {
  it.live("names in its log the handler that blocks, and ends when it is told to", () =>
    Effect.gen(function* () {
      const { child, exited, lines } = yield* started
      const line = (pattern: RegExp) =>
        Effect.promise(async () => {
          for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
            const match = pattern.exec(next.value)
            if (match !== null) return match[0]
          }
          throw new Error(`it ended without a line like ${pattern}`)
        }).pipe(Effect.timeout("20 seconds"))
      const url = yield* line(/http:\/\/\S+/)
      const answer = yield* Effect.promise((signal) =>
        fetch(`${url}/primes`, { signal }).then((answer) => answer.text())
      )
      assert.strictEqual(answer, "148933")
      assert.match(
        yield* line(/blocked for .*/),
        /^blocked for \d+ ms by GET \/primes; nothing else ran: offload this work/
      )
      child.kill("SIGTERM")
      assert.deepStrictEqual(
        yield* Effect.timeout(
          Effect.promise(() => exited),
          "10 seconds"
        ),
        [0, null]
      )
    })
  )
})
