import { assert, describe, it } from "@effect/vitest"
import { RawClient } from "@spillway/http/testing"
import { Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { createInterface } from "node:readline"
import { getRequest, soon } from "./fixture.ts"
import { ask, connectTo, toVariable, who } from "./multiLoop/support.ts"
import type { Parameters } from "./multiLoop/support.ts"

interface Start {
  readonly file?: "main.ts" | "loop.ts"
  readonly parameters?: Parameters
  /** Options of `MultiLoop`, and whether `launch` runs it. */
  readonly options?: Readonly<Record<string, unknown>>
  /** A socket that the process inherits. */
  readonly socket?: number
}

/** A program in a process of its own. Its lines are kept. */
const start = ({ file = "main.ts", options = {}, parameters = {}, socket }: Start = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = new URL(`./multiLoop/${file}`, import.meta.url).pathname
      const json = JSON.stringify({ loops: 2, ...options })
      // The shell becomes the program, which so knows the number of its process before it starts.
      const command = `LISTEN_FDS=${socket === undefined ? 0 : 1} LISTEN_PID=$$ exec "$@"`
      const child = spawn("/bin/sh", ["-c", command, "sh", process.execPath, path, json], {
        env: { ...process.env, MULTILOOP_TEST: toVariable(parameters) },
        stdio: ["ignore", "pipe", "pipe", socket ?? "ignore"]
      })
      const lines: Array<string> = []
      for (const stream of [child.stdout!, child.stderr!]) {
        createInterface({ input: stream }).on("line", (line) => lines.push(line))
      }
      const exited = once(child, "exit").then(([code]) => code as number | null)
      const said = (part: string) =>
        soon(
          Effect.repeat(
            Effect.delay(
              Effect.sync(() => lines.find((line) => line.includes(part))),
              2
            ),
            { until: (line) => line !== undefined }
          )
        ) as Effect.Effect<string>
      return {
        kill: (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal)),
        said,
        port: Effect.map(said('"port":'), (line) => (JSON.parse(line) as { readonly port: number }).port),
        exited: soon(Effect.promise(() => exited)),
        lines,
        child
      }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

interface Handle {
  readonly fd: number
  getsockname(out: { port?: number }): number
  close(): void
}

/** A socket that listens once somebody who inherits it does. Node's own sockets would accept here. */
const bindSocket = () => {
  const { _createServerHandle: create } = net as unknown as {
    readonly _createServerHandle: (address: string, port: number, family: number) => Handle
  }
  const handle = create("127.0.0.1", 0, 4)
  const name: { port?: number } = {}
  handle.getsockname(name)
  return { handle, port: name.port! }
}

/** Asks until it is answered. */
const untilAnswered = (port: number) => soon(Effect.eventually(Effect.andThen(Effect.sleep(5), who(port))))

describe("MultiLoop, as a process", () => {
  it.live("drains all loops on SIGTERM, answers what is in flight, and exits with 0", () =>
    Effect.gen(function* () {
      const program = yield* start()
      const port = yield* program.port
      const inFlight = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 12 }, () => "/slow?millis=600"),
          (path) => ask(port, path),
          { concurrency: "unbounded" }
        )
      )
      const running = Effect.map(ask(port, "/metrics"), ({ body }) =>
        [...body.toString().matchAll(/^http_server_active_requests\{loop="[01]"\} (\d+)$/gm)].map(([, n]) => Number(n))
      )
      const busy = yield* soon(
        Effect.repeat(running, { until: (counts) => counts.reduce((sum, n) => sum + n, 0) === 12 })
      )
      assert.isTrue(
        busy.every((count) => count > 0),
        `${busy}`
      )
      yield* program.kill("SIGTERM")
      const answers = yield* soon(Fiber.join(inFlight))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        answers.map(() => 200)
      )
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live("exits at once with 130 on a second signal that comes later", () =>
    Effect.gen(function* () {
      const program = yield* start({ parameters: { drainTimeout: 60_000 } })
      const port = yield* program.port
      yield* Effect.forkChild(Effect.exit(ask(port, "/slow?millis=60000")))
      yield* who(port)
      yield* program.kill("SIGTERM")
      yield* Effect.sleep("1100 millis")
      yield* program.kill("SIGTERM")
      assert.strictEqual(yield* program.exited, 130)
    })
  )

  it.live("restarts its loops on SIGHUP, and logs with the number of the loop what nobody caught", () =>
    Effect.gen(function* () {
      const program = yield* start()
      const port = yield* program.port
      yield* program.kill("SIGHUP")
      for (const loop of [0, 1]) yield* program.said(`loop ${loop} was replaced`)
      // The last one accepts until it drains.
      yield* soon(Effect.repeat(who(port), { until: ({ generation }) => generation === 2 }))
      yield* Effect.exit(ask(port, "/control/crash"))
      const line = yield* program.said("ended Error: nobody catches this")
      assert.match(line, /loop [01] ended/)
      yield* program.kill("SIGTERM")
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live("keeps a SIGHUP that comes while its loops start until they serve", () =>
    Effect.gen(function* () {
      const program = yield* start({ parameters: { layerDelay: 500 } })
      yield* program.said("the entry is loaded")
      yield* program.kill("SIGHUP")
      for (const loop of [0, 1]) yield* program.said(`loop ${loop} was replaced`)
      yield* program.kill("SIGTERM")
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live("does nothing on a SIGHUP that comes while it drains", () =>
    Effect.gen(function* () {
      const program = yield* start()
      const port = yield* program.port
      const client = yield* RawClient.connect({ port })
      yield* client.write(getRequest("/slow?millis=2500"))
      const counts = /^http_server_active_requests\{loop="[01]"\} 1$/m
      yield* soon(Effect.repeat(ask(port, "/metrics"), { until: ({ body }) => counts.test(body.toString()) }))
      yield* program.kill("SIGTERM")
      // So much later `Main` would take it for a second signal to stop.
      yield* Effect.sleep("1100 millis")
      yield* program.kill("SIGHUP")
      yield* soon(client.receivedUntil('"generation":1'))
      assert.strictEqual(yield* program.exited, 0)
    })
  )

  it.live(
    "replaces a loop that is in native code, and ends without waiting for it",
    () =>
      Effect.gen(function* () {
        const program = yield* start({ options: { maxBlocked: "1 second" } })
        const supervisor = { port: yield* program.port }
        const [victim, sibling] = [yield* connectTo(supervisor, 0), yield* connectTo(supervisor, 1)]
        yield* victim.write(getRequest("/control/native"))
        const readiness = Effect.andThen(sibling.write(getRequest("/readyz")), Effect.sleep(20))
        yield* soon(
          Effect.repeat(Effect.andThen(readiness, sibling.received), {
            until: (text) => text.includes('"loops":["down","ready"]')
          })
        )
        assert.match(yield* program.said("is given up"), /loop 0 stood still/)
        yield* program.said("loop 0 was replaced")
        yield* connectTo(supervisor, 0)
        yield* program.kill("SIGTERM")
        yield* program.exited
        assert.strictEqual(program.child.signalCode, "SIGKILL")
        assert.isFalse(program.lines.some((line) => line.includes("MaxListenersExceededWarning")))
      }),
    30_000
  )

  for (const launch of [true, false]) {
    it.live(`exits with 1 when a loop can not be replaced (${launch ? "launch" : "layer"})`, () =>
      Effect.gen(function* () {
        const { port } = yield* Effect.acquireRelease(Effect.sync(bindSocket), ({ handle }) =>
          Effect.sync(() => handle.close())
        ).pipe(Effect.scoped)
        const parameters = { fails: "later", port }
        const program = yield* start({ parameters, options: { launch, maxStartAttempts: 1 } })
        yield* untilAnswered(port)
        yield* Effect.exit(ask(port, "/control/crash"))
        yield* program.said("gave up")
        assert.strictEqual(yield* program.exited, 1)
      })
    )
  }

  it.live("exits with 1 when a loop can not start", () =>
    Effect.gen(function* () {
      const program = yield* start({ parameters: { fails: "entry" } })
      yield* program.said("can not start: TypeError: no luck with the entry")
      assert.strictEqual(yield* program.exited, 1)
    })
  )

  for (const file of ["main.ts", "loop.ts"] as const) {
    it.live(`listens on an inherited socket, which keeps the port while the process is replaced (${file})`, () =>
      Effect.gen(function* () {
        const { handle, port } = yield* Effect.acquireRelease(Effect.sync(bindSocket), ({ handle }) =>
          Effect.sync(() => handle.close())
        )
        const options: Start = { file, socket: handle.fd, parameters: { inherit: 1, port: 1 } }
        const first = yield* start(options)
        const { loops } = yield* untilAnswered(port)
        assert.strictEqual(loops, file === "main.ts" ? 2 : undefined)
        yield* first.kill("SIGTERM")
        assert.strictEqual(yield* first.exited, 0)
        // Nobody accepts now, and nobody is refused.
        const waiting = yield* Effect.forkChild(who(port), { startImmediately: true })
        const second = yield* start(options)
        yield* soon(Fiber.join(waiting))
        yield* second.kill("SIGTERM")
        assert.strictEqual(yield* second.exited, 0)
      })
    )
  }
})
