import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"

const fileOf = (fixture: string) => new URL(`./fixtures/${fixture}.ts`, import.meta.url).pathname

interface Seen {
  readonly duration: number
  readonly route?: string
  readonly stack: ReadonlyArray<{ readonly functionName: string; readonly url: string }>
}

/** A process that runs a fixture. It is killed at the end, if it has not ended of itself. */
const startFixture = (fixture: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [fileOf(fixture), ...args], { stdio: ["pipe", "pipe", "pipe"] })
      return { child, exit: once(child, "exit") }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** A process that blocks its loop in a way. */
const start = (...args: ReadonlyArray<string>) => startFixture("eventLoop", ...args)

type Started = Effect.Success<ReturnType<typeof start>>

/** What it printed, and how it ended. */
const ended = ({ child, exit }: Started) =>
  Effect.promise(async () => {
    const [stdout, stderr] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()])
    const [code] = (await exit) as [number | null]
    const output = Buffer.concat(stdout).toString()
    const lines = output.split("\n").filter((line) => line.startsWith('{"block"'))
    const blocks = lines.map((line) => (JSON.parse(line) as { readonly block: Seen }).block)
    return { blocks, code, output, stderr: Buffer.concat(stderr).toString() }
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

/** The first line of `stream` that has `part` in it. */
const lineWith = (stream: NodeJS.ReadableStream, part: string) =>
  Effect.promise(async () => {
    for await (const line of createInterface({ input: stream })) if (line.includes(part)) return line
    throw new Error(`it ended without a line with ${part}`)
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

describe("EventLoop in a process", () => {
  for (const where of ["main", "worker"]) {
    it.live(`sees a block of the ${where} thread and lets the process end`, () =>
      Effect.gen(function* () {
        const { blocks, code } = yield* Effect.flatMap(start(where), ended)
        assert.strictEqual(code, 0)
        const block = blocks.find(({ duration }) => duration > 300)
        assert.deepStrictEqual([block?.route, block?.stack], ["GET /report/:id", []])
      })
    )

    it.live(`takes the stack of the ${where} thread from outside`, () =>
      Effect.gen(function* () {
        const { blocks, code, stderr } = yield* Effect.flatMap(start(where, "stack"), ended)
        assert.strictEqual(code, 0)
        assert.notInclude(stderr, "debugger")
        const block = blocks.find(({ duration }) => duration > 300)
        const frame = block?.stack.find(({ url }) => url.endsWith("fixtures/eventLoop.ts"))
        assert.deepStrictEqual([block?.route, frame?.functionName], ["GET /report/:id", "spin"])
      })
    )
  }

  it.live("says of a block that never ends what runs", () =>
    Effect.gen(function* () {
      const { child } = yield* start("stuck")
      assert.match(
        yield* lineWith(child.stderr, "spillway"),
        /^spillway: the event loop of the main thread is blocked since \d+\.\d s, nothing else runs on it; it runs GET \/report\/:id$/
      )
    })
  )

  it.live("says of a block that never ends in which function it is, where stacks are taken", () =>
    Effect.gen(function* () {
      const { child } = yield* start("stuck", "stack")
      assert.match(
        yield* lineWith(child.stderr, "spillway"),
        /; it runs GET \/report\/:id; in spin \(file:.*eventLoop\.ts:\d+:\d+\)$/
      )
    })
  )

  it.live("says nothing of a loop that turns, however long it does", () =>
    Effect.gen(function* () {
      // It turns for longer than a block may last before it is said, and then blocks: the first that is said is that.
      const { child } = yield* start("turnThenStick")
      assert.match(
        yield* lineWith(child.stderr, "spillway"),
        / is blocked since 1\.\d s, .*; it runs GET \/report\/:id$/
      )
    })
  )

  it.live("says it of each block that does not end, also after another", () =>
    Effect.gen(function* () {
      const { child } = yield* start("stuckTwice")
      assert.include(yield* lineWith(child.stderr, "it runs parse"), "since 0.")
    })
  )

  it.live("does not show what a loop does that turned before it could be stopped", () =>
    Effect.gen(function* () {
      const { code, output } = yield* Effect.flatMap(startFixture("eventLoopLate"), ended)
      assert.deepStrictEqual([code, output], [0, "guilty\n"])
    })
  )

  for (const stack of ["", "stack"]) {
    it.live(`lets a process end that has nothing else to do${stack && ", also where stacks are taken"}`, () =>
      Effect.gen(function* () {
        const { code, output, stderr } = yield* Effect.flatMap(startFixture("eventLoopLeft", stack), ended)
        assert.deepStrictEqual([code, output, stderr], [0, "watching: true\n", ""])
      })
    )
  }

  it.live("does not hold up an exit, nor wait for a debugger", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* Effect.flatMap(start("exit", "stack"), ended)
      assert.deepStrictEqual([code, stderr], [3, ""])
    })
  )

  it.live("does not take a process that stood still for a block", () =>
    Effect.gen(function* () {
      const started = yield* start("stand")
      const { child } = started
      yield* lineWith(child.stdout, "pid")
      const rest = yield* Effect.forkChild(ended(started), { startImmediately: true })
      // Not waits for something to happen: it is how long it stands, and how long it turns in between.
      for (let i = 0; i < 3; i++) {
        child.kill("SIGSTOP")
        yield* Effect.sleep(800)
        child.kill("SIGCONT")
        yield* Effect.sleep(100)
      }
      child.stdin.end()
      const { blocks, code } = yield* Fiber.join(rest)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(
        blocks.filter(({ duration }) => duration > 500),
        []
      )
    })
  )
})
