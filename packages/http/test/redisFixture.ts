import { execFile, execFileSync, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { Effect } from "effect"
import type { Scope } from "effect"
import { soon } from "./fixture.ts"

/** The version of the redis-server on the path, if there is one. */
export const redisVersion: string | undefined = (() => {
  try {
    return /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1]
  } catch {
    return undefined
  }
})()

if (redisVersion === undefined) console.warn("skipped: there is no redis-server (Debian package redis-server)")

export interface RedisServer {
  readonly socket: { readonly path: string; readonly tls: false }
  /** Starts it, empty, and waits until it answers. */
  readonly start: Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Ends it at once and waits until it is gone. */
  readonly kill: Effect.Effect<void>
  /** Sends one command over a connection of its own, and gives its answer as `redis-cli` prints it. */
  readonly send: (...command: Array<string>) => Effect.Effect<string>
}

/** A Redis on a Unix socket, which keeps nothing on the disk and ends with the scope. It is not started yet. */
export const makeRedis: Effect.Effect<RedisServer, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-redis-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const path = join(folder, "redis.sock")
  let child: ChildProcess | undefined
  const kill = Effect.promise(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  })
  yield* Effect.addFinalizer(() => kill)

  const send = (...command: Array<string>) =>
    Effect.promise(async (signal) => {
      const { stdout } = await promisify(execFile)("redis-cli", ["-s", path, ...command], { signal })
      return stdout.trim()
    })

  const start = Effect.gen(function* () {
    rmSync(path, { force: true })
    const options = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder]
    child = spawn("redis-server", options, { stdio: ["ignore", "pipe", "inherit"] })
    const { stdout } = child
    // Its own word for having opened the socket.
    yield* soon(
      Effect.callback<void>((resume) => {
        let log = ""
        stdout!.setEncoding("utf8").on("data", (text: string) => {
          log = (log + text).slice(-10_000)
          if (log.includes("connections at")) resume(Effect.void)
        })
      })
    )
  })
  return { socket: { path, tls: false }, start, signal: (signal) => void child?.kill(signal), kill, send }
})
