import { MultiLoopError } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Agent, createServer } from "node:http"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { getRequest, soon } from "./fixture.ts"
import { ask, connectTo, start, untilStatus, valuesOf, who } from "./multiLoop/support.ts"
import type { Supervisor } from "./multiLoop/support.ts"
import { pattern } from "./multiLoop/pattern.ts"

const failure = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  if (error?._tag !== "Some" || !(error.value instanceof MultiLoopError.MultiLoopError)) {
    throw new Error(`not a MultiLoopError: ${String(exit)}`)
  }
  return error.value
}

/** Asks on new connections until every loop has answered. */
const askAll = (port: number, loops: number) =>
  soon(
    Effect.gen(function* () {
      const seen = new Map<number, number>()
      while (seen.size < loops) {
        const { loop, threadId } = yield* who(port)
        seen.set(loop, threadId)
      }
      return seen
    })
  )

interface Load {
  readonly answers: number
  readonly wrong: ReadonlyArray<string>
}

/** Asks again and again, several at once, until the scope closes; every byte of every answer is compared. */
const load = (port: number, clients: number, agent: Agent | false) =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    let answers = 0
    let seed = 0
    let ends = false
    const client = Effect.gen(function* () {
      while (!ends) {
        const expected = seed++
        const answer = yield* Effect.result(ask(port, `/bytes?seed=${expected}`, agent))
        if (answer._tag === "Failure") wrong.push(String(answer.failure))
        else if (answer.success.status !== 200 || !answer.success.body.equals(pattern(expected))) {
          wrong.push(`${answer.success.status} with ${answer.success.body.length} bytes`)
        }
        answers++
      }
    })
    const fiber = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: clients }, () => client),
        { concurrency: "unbounded" }
      )
    )
    return {
      answers: () => answers,
      stop: Effect.suspend(() => {
        ends = true
        return Effect.map(Fiber.join(fiber), (): Load => ({ answers, wrong }))
      })
    }
  })

/** Waits until so many more answers have come. */
const more = (running: { readonly answers: () => number }, count: number) =>
  Effect.suspend(() => {
    const from = running.answers()
    return soon(Effect.repeat(Effect.sleep(2), { until: () => running.answers() >= from + count }))
  })

const restartUnderLoad = (supervisor: Supervisor, times: number) =>
  Effect.gen(function* () {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    const loads = [yield* load(supervisor.port, 4, false), yield* load(supervisor.port, 4, agent)]
    for (let i = 0; i < times; i++) {
      yield* supervisor.restart
      yield* Effect.forEach(loads, (running) => more(running, 20))
    }
    const results = yield* Effect.forEach(loads, ({ stop }) => soon(stop))
    agent.destroy()
    assert.deepStrictEqual(
      results.flatMap(({ wrong }) => wrong),
      []
    )
    const { loops } = yield* supervisor.status
    assert.deepStrictEqual(
      loops.map(({ generation, restarts, state }) => ({ generation, restarts, state })),
      [0, 1].map(() => ({ generation: times + 1, restarts: times, state: "ready" as const }))
    )
    return results
  })

describe("MultiLoop", () => {
  it.live("serves one port from two threads", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      const threads = yield* askAll(supervisor.port, 2)
      const { loops, sharing } = yield* supervisor.status
      assert.deepStrictEqual(
        loops.map(({ threadId }) => threadId),
        [threads.get(0), threads.get(1)]
      )
      assert.strictEqual(new Set(threads.values()).size, 2)
      assert.strictEqual(sharing, process.platform === "linux" ? "reusePort" : sharing)
    })
  )

  it.live("keeps maxConcurrent and maxQueued for all loops together, and hands a permit of one loop to another", () =>
    Effect.gen(function* () {
      const supervisor = yield* start({ maxConcurrent: 2, maxQueued: 1 })
      const clients = yield* Effect.forEach([0, 1, 1, 0, 1, 0], (loop) => connectTo(supervisor, loop))
      const [first, second, third, ...others] = clients
      const counts = Effect.map(supervisor.metrics, (text) => ({
        running: valuesOf(text, "http_server_active_requests"),
        queued: valuesOf(text, "spillway_http_queued")
      }))
      const reaches = (running: ReadonlyArray<number>, queued: ReadonlyArray<number>) =>
        soon(
          Effect.repeat(counts, {
            until: (now) => [0, 1].every((i) => now.running[i] === running[i] && now.queued[i] === queued[i])
          })
        )
      yield* first!.write(getRequest("/held"))
      yield* second!.write(getRequest("/held"))
      yield* reaches([1, 1], [0, 0])
      yield* third!.write(getRequest("/held"))
      yield* reaches([1, 1], [0, 1])
      // The one place to wait is taken, for both loops.
      for (const client of others.slice(0, 2)) {
        yield* client.write(getRequest("/"))
        yield* soon(client.receivedUntil("HTTP/1.1 503"))
      }
      yield* others[2]!.write(getRequest("/control/release"))
      yield* reaches([0, 2], [0, 0])
    })
  )

  for (const how of ["throw", "exit"]) {
    it.live(`replaces a loop that ends by ${how}, and its sibling answers on`, () =>
      Effect.gen(function* () {
        const supervisor = yield* start()
        const restarts = Effect.map(
          supervisor.metrics,
          (text) => valuesOf(text, "spillway_multiloop_restarts_total")["0"] ?? 0
        )
        const before = yield* restarts
        const sibling = yield* connectTo(supervisor, 1)
        const victim = yield* connectTo(supervisor, 0)
        yield* victim.write(getRequest(`/control/crash?how=${how}`))
        yield* soon(victim.ended)
        const { loops } = yield* untilStatus(supervisor, ({ loops }) => loops[0]!.restarts === 1)
        assert.deepStrictEqual(
          loops.map(({ generation, restarts, state }) => [generation, restarts, state]),
          [
            [2, 1, "ready"],
            [1, 0, "ready"]
          ]
        )
        yield* sibling.write(getRequest("/bytes?seed=1"))
        yield* soon(sibling.receivedUntil("8192"))
        yield* askAll(supervisor.port, 2)
        assert.strictEqual((yield* restarts) - before, 1)
      })
    )
  }

  it.live("answers new connections without a failure while a loop crashes, but for those that it held", () =>
    Effect.gen(function* () {
      // Its successor listens long before it can answer.
      const supervisor = yield* start({ maxConcurrent: 4, layerDelay: 500 })
      const [sibling, victim] = [yield* connectTo(supervisor, 1), yield* connectTo(supervisor, 0)]
      // Permits that die with their loop.
      for (const client of [yield* connectTo(supervisor, 0), yield* connectTo(supervisor, 0)]) {
        yield* client.write(getRequest("/held"))
      }
      yield* soon(
        Effect.repeat(supervisor.metrics, {
          until: (text) => valuesOf(text, "http_server_active_requests")["0"] === 2
        })
      )
      yield* victim.write(getRequest("/control/crash"))
      yield* soon(victim.ended)
      const before = (yield* sibling.received).length
      yield* sibling.write(getRequest("/"))
      yield* soon(Effect.repeat(sibling.received, { until: (text) => text.length > before }))
      // These came into the queue of a socket whose loop was gone.
      const waiting = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => ask(supervisor.port, "/"), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        waiting.map(({ status }) => status),
        waiting.map(() => 200)
      )
      yield* untilStatus(supervisor, ({ loops }) => loops[0]!.state === "ready")
      // All four permits are to be had again.
      const loaded = yield* load(supervisor.port, 4, false)
      yield* more(loaded, 50)
      assert.deepStrictEqual((yield* loaded.stop).wrong, [])
    })
  )

  it.live("terminates and replaces a loop whose event loop stands still", () =>
    Effect.gen(function* () {
      const supervisor = yield* start({}, { maxBlocked: "1 second" })
      const victim = yield* connectTo(supervisor, 0)
      yield* victim.write(getRequest("/control/block"))
      yield* untilStatus(supervisor, ({ loops }) => loops[0]!.blocked > 0)
      assert.strictEqual(valuesOf(yield* supervisor.metrics, "spillway_multiloop_up")["0"], 0)
      yield* untilStatus(supervisor, ({ loops }) => loops[0]!.restarts === 1)
      yield* askAll(supervisor.port, 2)
      assert.include(yield* supervisor.metrics, `spillway_multiloop_restarts_total{loop="0",reason="blocked"} 1`)
    })
  )

  it.live(
    "restarts its loops five times under load without a failed request",
    () =>
      Effect.gen(function* () {
        const results = yield* restartUnderLoad(yield* start(), 5)
        for (const { answers } of results) assert.isTrue(answers > 100, `${answers} answers`)
      }),
    120_000
  )

  it.live(
    "restarts without a failed request while the layers of a new loop take their time",
    () => Effect.flatMap(start({ layerDelay: 500 }), (supervisor) => restartUnderLoad(supervisor, 1)),
    60_000
  )

  for (const sharing of ["reusePort", "sharedSocket"] as const) {
    it.live(`lets the next loop answer what waits in the socket of the last one (${sharing})`, () =>
      Effect.gen(function* () {
        const options = { loops: 1, sharing, maxBlocked: "1 minute", closeTimeout: 0 } as const
        const supervisor = yield* start({ drainTimeout: 0 }, options)
        const last = yield* connectTo(supervisor, 0)
        yield* last.write(getRequest("/control/block"))
        // It accepts no more, and will be killed.
        yield* untilStatus(supervisor, ({ loops }) => loops[0]!.blocked > 0)
        const waiting = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 30 }, () => supervisor.port),
            (port) => who(port),
            { concurrency: "unbounded" }
          ),
          { startImmediately: true }
        )
        yield* soon(supervisor.restart)
        const generations = (yield* soon(Fiber.join(waiting))).map(({ generation }) => generation)
        assert.deepStrictEqual(
          generations,
          generations.map(() => 2)
        )
      })
    )
  }

  it.live("closes the port that loops listen on no more after a restart", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      const { port } = yield* Effect.scoped(freePort)
      process.env["MULTILOOP_TEST"] = `port=${port}`
      yield* supervisor.restart
      assert.strictEqual((yield* who(port)).generation, 2)
      const old = yield* soon(Effect.flip(Effect.repeat(who(supervisor.port), { until: () => false })))
      assert.strictEqual((old as NodeJS.ErrnoException).code, "ECONNREFUSED")
    })
  )

  it.live(
    "restarts without a failed request where all loops accept from one socket",
    () =>
      Effect.gen(function* () {
        const supervisor = yield* start({}, { sharing: "sharedSocket" })
        assert.strictEqual((yield* supervisor.status).sharing, "sharedSocket")
        yield* restartUnderLoad(supervisor, 3)
      }),
    60_000
  )

  it.live("runs one loop where threads can not share a port", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(freePort)
      const supervisor = yield* start({ port }, { sharing: "alone" })
      assert.strictEqual((yield* who(port)).loops, 1)
      yield* supervisor.restart
      assert.strictEqual((yield* who(port)).generation, 2)
    })
  )

  it.live("answers readiness and metrics for the process, whichever loop is asked", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      yield* askAll(supervisor.port, 2)
      for (let i = 0; i < 4; i++) {
        const ready = yield* ask(supervisor.port, "/readyz")
        assert.deepStrictEqual(
          [ready.status, JSON.parse(ready.body.toString())],
          [200, { status: "ready", phase: "ready", checks: {}, loops: ["ready", "ready"] }]
        )
        const text = (yield* ask(supervisor.port, "/metrics")).body.toString()
        assert.deepStrictEqual(valuesOf(text, "spillway_multiloop_up"), { 0: 1, 1: 1 })
        const requests = valuesOf(text, "http_server_request_duration_seconds_count")
        assert.isTrue(requests["0"]! >= 1 && requests["1"]! >= 1, text)
        const types = text.split("\n").filter((line) => line.startsWith("# TYPE "))
        assert.strictEqual(new Set(types).size, types.length)
        const unlabelled = text.split("\n").filter((line) => line !== "" && !/^#|[{,]loop="(?:main|0|1)"/.test(line))
        assert.deepStrictEqual(unlabelled, [])
      }
    })
  )

  it.live("puts the metrics of the process into words a tenth of the time, whichever loop is asked", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      const told = new Set<string>()
      // Each answer counts in the metrics of the next one.
      for (let i = 0; i < 600; i++) told.add((yield* ask(supervisor.port, "/metrics")).body.toString())
      assert.isBelow(told.size, 600)
    })
  )

  it.live("shares one more run among those who ask for a restart while one goes on", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      const first = yield* Effect.forkChild(supervisor.restart, { startImmediately: true })
      yield* untilStatus(supervisor, ({ loops }) => loops[0]!.generation === 2)
      yield* Effect.all([supervisor.restart, supervisor.restart, supervisor.restart], { concurrency: "unbounded" })
      yield* Fiber.join(first)
      assert.deepStrictEqual(
        (yield* supervisor.status).loops.map(({ restarts }) => restarts),
        [2, 2]
      )
    })
  )

  it.live("fails with what the entry module or the layer of a loop failed with", () =>
    Effect.gen(function* () {
      const entryFails = failure(yield* Effect.exit(start({ fails: "entry" })))
      assert.strictEqual(entryFails.reason._tag, "StartFailed")
      assert.include(entryFails.message, "TypeError: no luck with the entry")
      const layerFails = failure(yield* Effect.exit(start({ fails: "layer" })))
      assert.strictEqual(layerFails.reason._tag, "StartFailed")
      assert.include(layerFails.message, "RangeError: no luck with the layer: the moon is full")
      const spawnFails = failure(yield* Effect.exit(start({ fails: "spawn" })))
      const message = "the server can not listen: can not duplicate the socket: spawn /nowhere/node ENOENT"
      assert.include(spawnFails.message, message)
    })
  )

  it.live("fails when a loop does not serve in time", () =>
    Effect.gen(function* () {
      const { reason } = failure(yield* Effect.exit(start({ stuck: 1 }, { startTimeout: "1 second" })))
      assert.deepStrictEqual(reason, new MultiLoopError.StartTimedOut({ millis: 1000 }))
    })
  )

  it.live("leaves the loops as they were when a new one can not start", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      process.env["MULTILOOP_TEST"] = "fails=entry"
      const { loop, reason } = failure(yield* Effect.exit(supervisor.restart))
      assert.deepStrictEqual([loop, reason._tag], [0, "StartFailed"])
      assert.deepStrictEqual(
        (yield* supervisor.status).loops.map(({ restarts, state }) => [restarts, state]),
        [
          [0, "ready"],
          [0, "ready"]
        ]
      )
      yield* askAll(supervisor.port, 2)
    })
  )

  it.live("gives up on a loop that crashed and can not be started again", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const started = start({}, { maxStartAttempts: 2 })
      const program = Effect.gen(function* () {
        const supervisor = yield* started
        process.env["MULTILOOP_TEST"] = "fails=entry"
        const failed = yield* Effect.forkChild(Effect.exit(supervisor.failed), { startImmediately: true })
        const victim = yield* connectTo(supervisor, 0)
        yield* victim.write(getRequest("/control/crash"))
        const { loop, reason } = failure(yield* soon(Fiber.join(failed)))
        assert.deepStrictEqual([loop, reason._tag], [0, "StartFailed"])
        return yield* Effect.never
      })
      // Whoever built the layer is interrupted.
      const exit = yield* soon(Effect.flatMap(Effect.forkChild(Scope.provide(program, scope)), Fiber.await))
      assert.isTrue(Exit.hasInterrupts(exit))
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.live("shares the threads of an offload among the loops", () =>
    Effect.gen(function* () {
      const supervisor = yield* start({ offload: 1 })
      const answers = yield* Effect.forEach(
        Array.from({ length: 24 }, () => "/offload"),
        (path) => Effect.map(ask(supervisor.port, path), ({ body }) => JSON.parse(body.toString())),
        { concurrency: "unbounded" }
      )
      const sorted = (key: "loop" | "thread") => [...new Set(answers.map((answer) => answer[key] as number))].toSorted()
      assert.deepStrictEqual([sorted("loop"), sorted("thread").length], [[0, 1], 2])
    })
  )

  for (const sharing of ["reusePort", "sharedSocket"] as const) {
    it.live(`fails on a port that somebody else listens on (${sharing})`, () =>
      Effect.gen(function* () {
        const { port } = yield* freePort
        const { message, reason } = failure(yield* Effect.exit(start({ port }, { sharing })))
        assert.strictEqual(reason._tag, "CannotListen")
        assert.include(message, `EADDRINUSE`)
      })
    )
  }
})

/** A server on a port, for as long as the scope is open. */
const freePort = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    return { server, port: (server.address() as AddressInfo).port }
  }),
  ({ server }) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
)
