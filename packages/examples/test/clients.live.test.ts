import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"

/** Starts an example as its reader would, on a free port, until the scope ends. */
const start = (example: string, env: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = new URL(`../src/clients/${example}`, import.meta.url).pathname
      const child = spawn(process.execPath, [file], {
        env: { ...process.env, PORT: "0", ...env },
        stdio: ["ignore", "pipe", "inherit"]
      })
      const exited = once(child, "exit")
      for await (const line of createInterface({ input: child.stdout })) {
        const url = /http:\/\/\S+/.exec(line)?.[0]
        if (url !== undefined) return { child, exited, url }
      }
      throw new Error(`${example} ended without printing its URL`)
    }),
    ({ child, exited }) =>
      Effect.promise(() => {
        child.kill("SIGTERM")
        return exited
      }).pipe(Effect.timeout("10 seconds"), Effect.ensuring(Effect.sync(() => child.kill("SIGKILL"))), Effect.orDie)
  )

const get = (url: string) =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { signal })
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body: await response.text() }
  })

describe("clients", () => {
  it.live("hands the deadline on to the backend, and answers 503 when that is gone", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const backend = yield* Scope.provide(start("backend.ts"), scope)
      const gateway = yield* start("gateway.ts", { BACKEND_URL: backend.url })
      const user = yield* get(`${gateway.url}/user`)
      assert.strictEqual(user.status, 200)
      const { left, name } = JSON.parse(user.body) as { readonly left: number; readonly name: string }
      assert.strictEqual(name, "Ada")
      assert.isTrue(left > 0 && left <= 1000, String(left))
      // Both give up at the same time: the 504 of the backend, if it comes first, is the gateway's 503.
      assert.include([503, 504], (yield* get(`${gateway.url}/slow`)).status)
      yield* Scope.close(scope, Exit.void)
      const gone = yield* get(`${gateway.url}/user`)
      assert.deepStrictEqual([gone.status, gone.retryAfter], [503, "1"])
    })
  )
})
