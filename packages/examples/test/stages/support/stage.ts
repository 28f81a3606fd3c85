/** Runs a stage as its reader would, and inside a test. */
import { Console, Effect } from "effect"
import { NodeServices } from "@effect/platform-node"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** Milliseconds for a test: each starts processes, which takes long on a machine that has much else to do. */
export const timeout = 90_000

const main = new URL("../../../src/stages/main.ts", import.meta.url).pathname

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // All of it has ended, as it should.
  }
}

/** Starts `npm run stage -- …` without npm. What of it still runs when the scope closes is killed, with all that it started. */
export const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [main, ...args], {
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
        // With what it starts it is a group of its own, as in a terminal.
        detached: true
      })
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      let errors = ""
      child.stderr.on("data", (chunk: Buffer) => {
        errors += chunk.toString()
      })
      const exited = once(child, "exit") as Promise<[code: number | null, signal: string | null]>
      return {
        child,
        exited: Effect.timeout(
          Effect.promise(() => exited),
          "15 seconds"
        ),
        lines,
        errors: () => errors
      }
    }),
    ({ child }) => Effect.sync(() => killGroup(child.pid!))
  )

/** Waits for a line that matches. */
export const line = ({ lines }: { readonly lines: AsyncIterator<string> }, pattern: RegExp) =>
  Effect.promise(async () => {
    for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
      const match = pattern.exec(next.value)
      if (match !== null) return match
    }
    throw new Error(`it ended without a line like ${pattern}`)
  }).pipe(Effect.timeout("40 seconds"))

/** The lines that are left, once it has ended. */
export const rest = ({ lines }: { readonly lines: AsyncIterator<string> }) =>
  Effect.promise(async () => {
    const all: Array<string> = []
    for (let next = await lines.next(); next.done !== true; next = await lines.next()) all.push(next.value)
    return all.join("\n")
  }).pipe(Effect.timeout("40 seconds"))

/** Runs what a command runs, and returns what it printed beside its result. */
export const told = <A, E>(self: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const console = { ...globalThis.console, log: (text: string) => void lines.push(text) }
    return self.pipe(
      Effect.provideService(Console.Console, console),
      Effect.provide(NodeServices.layer),
      Effect.map((result) => ({ result, text: lines.join("\n") }))
    )
  })

/** Whether a process is there. */
export const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
