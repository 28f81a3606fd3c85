/** Runs an example as its reader would: in a process of its own, on a free port. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { assert } from "@effect/vitest"
import { Effect } from "effect"

/** Starts an example, waits for its URL, and ends it with the scope as a supervisor would: it must exit with 0. */
export const start = (example: string, env: Record<string, string> = {}, args: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = new URL(`../../src/${example}`, import.meta.url).pathname
      const child = spawn(process.execPath, [file, ...args], {
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
      }).pipe(
        Effect.timeout("10 seconds"),
        Effect.map(([code]) => assert.strictEqual(code, 0)),
        Effect.ensuring(Effect.sync(() => child.kill("SIGKILL"))),
        Effect.orDie
      )
  )

/** One request. Interruption aborts it. */
export const get = (url: string, init?: RequestInit) =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return { status: response.status, headers: response.headers, body: await response.text() }
  })
