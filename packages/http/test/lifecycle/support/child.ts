import { Effect } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { soon } from "../../fixture.ts"

export interface Ending {
  /** `null` if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process that ends with the scope. */
export interface Child {
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => void
  /** Waits, without limit, for the next line of its output; `undefined` once it has ended. */
  readonly next: Effect.Effect<string | undefined>
  /** The same, and fails the test if none comes. */
  readonly line: Effect.Effect<string | undefined>
  /** What it has written to its standard error. */
  readonly errors: () => string
  readonly exited: Effect.Effect<Ending>
}

export const startChild = (
  command: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command, args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const ended = once(child, "close") as Promise<[Ending["code"], Ending["signal"]]>
      let errors = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
      const next = Effect.promise(async () => (await lines.next()).value as string | undefined)
      return {
        pid: child.pid!,
        kill: (signal) => void child.kill(signal),
        next,
        line: soon(next),
        errors: () => errors,
        exited: Effect.promise(async () => {
          const [code, signal] = await ended
          return { code, signal }
        })
      }
    }
  )

const fixture = new URL("../fixtures/server.ts", import.meta.url).pathname

export interface ServerChild extends Child {
  readonly port: number
}

/** Starts the fixture and waits until it serves. */
export const startServer = (
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<ServerChild, never, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* startFixture(environment)
    const line = yield* child.line
    const port = /^serves http:\/\/127\.0\.0\.1:(\d+)$/.exec(line ?? "")?.[1]
    if (port === undefined) return yield* Effect.die(new Error(`it did not start: ${line}\n${child.errors()}`))
    return { ...child, port: Number(port) }
  })

/** Starts the fixture, and does not wait for anything. */
export const startFixture = (environment: Readonly<Record<string, string>> = {}) =>
  startChild(process.execPath, [fixture], environment)
