/** The client with the request is patient for 2 s instead of 5, and once for longer than a receive timeout of 1 s instead of 30. */
import { NodeServices } from "@effect/platform-node"
import { prove } from "@spillway/examples/stages/stage-1"
import * as Server from "@spillway/examples/stages/support/server"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope } from "effect"
import { once } from "node:events"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { isAlive, line, rest, start, timeout, told } from "./support/stage.ts"

const takenPort = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    return server
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => String((server.address() as AddressInfo).port)))

describe("stage-1", () => {
  it.live(
    "proves that silent clients freeze the blocking server, and not the event-driven one",
    () =>
      Effect.gen(function* () {
        const { result, text } = yield* told(prove({ silent: 20, patience: 2, receiveTimeout: 30 }))
        const { eventDriven, sequential } = result
        assert.isUndefined(sequential.beside)
        assert.isBelow(Duration.toMillis(sequential.afterHangUp!), 5000)
        assert.isBelow(Duration.toMillis(eventDriven.beside!.duration), 1000)
        assert.strictEqual(eventDriven.beside!.stillSilent, 20)
        // It waits, and does not compute. Linux tells.
        if (process.platform === "linux") assert.isBelow(sequential.cpuMillis!, 500)
        assert.match(text, /sequential {2,}\S+ m?s {2,}nothing in 2 s; then \S+ m?s after they hung up/)
        assert.match(text, /event-driven {2,}\S+ m?s {2,}\S+ m?s, while 20 of them stay connected/)
      }),
    timeout
  )

  it.live(
    "shows that a receive timeout ends the freeze only when it has given up every silent client",
    () =>
      Effect.gen(function* () {
        const { result } = yield* told(prove({ silent: 3, patience: 15, receiveTimeout: 1 }))
        const { duration, stillSilent } = result.sequential.beside!
        assert.isAtLeast(Duration.toMillis(duration), 2500)
        assert.strictEqual(stillSilent, 0)
        assert.strictEqual(result.eventDriven.beside!.stillSilent, 3)
      }),
    timeout
  )

  it.live(
    "ends by itself",
    () =>
      Effect.gen(function* () {
        const stage = yield* start(["1", "--silent", "2"], { STAGE_PATIENCE: "0.5" })
        yield* line(stage, /What happened to the request/)
        assert.match(yield* rest(stage), /nothing in 0\.5 s[\s\S]*npm run stage -- 2/)
        assert.deepStrictEqual(yield* stage.exited, [0, null])
      }),
    timeout
  )

  // A terminal sends the signal to all of its processes, `kill` to one.
  for (const everybody of [true, false]) {
    it.live(
      `ends at once on Ctrl-C, and its server with it${everybody ? "" : ", if only the stage is told"}`,
      () =>
        Effect.gen(function* () {
          const stage = yield* start(["stage-1", "--patience", "600"])
          const pid = Number((yield* line(stage, /it listens: .* process (\d+)/))[1])
          yield* line(stage, /one more connects/)
          assert.isTrue(isAlive(pid))
          process.kill(everybody ? -stage.child.pid! : stage.child.pid!, "SIGINT")
          assert.deepStrictEqual(yield* stage.exited, [0, null])
          assert.isFalse(isAlive(pid))
        }),
      timeout
    )
  }

  it.live(
    "leaves no server behind when nobody reads what it prints, as in `| head`",
    () =>
      Effect.gen(function* () {
        const stage = yield* start(["1", "--patience", "5"])
        const pid = Number((yield* line(stage, /it listens: .* process (\d+)/))[1])
        stage.child.stdout.destroy()
        const [code] = yield* stage.exited
        assert.notStrictEqual(code, 0)
        const gone = Effect.delay(
          Effect.sync(() => !isAlive(pid)),
          "20 millis"
        )
        yield* Effect.timeout(Effect.repeat(gone, { until: (gone) => gone }), "10 seconds")
      }),
    timeout
  )
})

describe("the stages' servers", () => {
  it.live(
    "are killed if they do not end by themselves in 5 s",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const file = new URL("./support/stubborn.ts", import.meta.url)
        const { pid } = yield* Scope.provide(Server.start(file), scope)
        assert.isTrue(isAlive(pid))
        const [took] = yield* Effect.timed(Effect.timeout(Scope.close(scope, Exit.void), "30 seconds"))
        assert.isFalse(isAlive(pid))
        // They get their time.
        assert.isAtLeast(Duration.toMillis(took), 4500)
      }).pipe(Effect.provide(NodeServices.layer)),
    timeout
  )
})

describe("the stages' command", () => {
  it.live(
    "says what there is, and what is wrong with an argument",
    () =>
      Effect.gen(function* () {
        const taken = yield* takenPort
        const cases = [
          [["--help"], 0, /stage-1, 1[\s\S]*stage-2, 2[\s\S]*stage-3, 3/, /^$/],
          [["1", "--help"], 0, /--silent[\s\S]*STAGE_SILENT[\s\S]*--patience[\s\S]*--receive-timeout/, /^$/],
          [["1", "--silent", "none"], 1, /USAGE/, /--silent/],
          [["1", "--silent", "0"], 1, /USAGE/, /--silent/],
          [["1", "--patience", "0"], 1, /USAGE/, /--patience/],
          [["4"], 1, /USAGE/, /Unknown subcommand "4"/],
          [["2", "--port", taken], 1, /^$/, /ERROR\s+.*address already in use[^\n]*\s+$/]
        ] as const
        for (const [args, code, output, errors] of cases) {
          const stage = yield* start(args)
          assert.match(yield* rest(stage), output, args.join(" "))
          assert.deepStrictEqual(yield* stage.exited, [code, null], args.join(" "))
          assert.match(stage.errors(), errors, args.join(" "))
        }
      }),
    timeout
  )
})
