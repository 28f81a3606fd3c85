import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { HttpMetrics, Priority } from "@spillway/http"
import type { OverloadOptions } from "@spillway/http"
import { LoadSignals, Offload } from "@spillway/runtime"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Latch, Layer, Logger, Metric, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, soon, start, until } from "./fixture.ts"
import type { Answer } from "./fixture.ts"
import { layer as poolLayer, Pool } from "./signals/pool.ts"

const ok = HttpServerResponse.text("ok")

/** Burns the event loop for so many milliseconds. */
const burn = (millis: number) =>
  Effect.sync(() => {
    for (const end = performance.now() + millis; performance.now() < end;);
    return ok
  })

/** What `GET /` answers is sheddable, what `GET /normal` answers normal, and the rest critical. */
const priority = Priority.first([Priority.byRoute({ "GET /": "sheddable", "GET /normal": "normal", "/*": "critical" })])

/** A server with signals, and routes beside `/` and `/normal`. */
const serve = (
  signals: OverloadOptions.OverloadOptions["signals"],
  routes: Layer.Layer<never, never, HttpRouter.HttpRouter>
) =>
  start(router(Layer.mergeAll(routes, HttpRouter.add("GET", "/", ok), HttpRouter.add("GET", "/normal", ok))), {
    priority,
    signals,
    maxQueueWait: "1 minute",
    maxConcurrent: 1
  })

/** What is known of a signal outside. */
const shown = (signal: string) =>
  Effect.all({
    value: Effect.map(Metric.value(Metric.withAttributes(HttpMetrics.signalValue, { signal })), ({ value }) => value),
    pressure: Effect.map(
      Metric.value(Metric.withAttributes(HttpMetrics.signalPressure, { signal })),
      ({ value }) => value
    ),
    refused: Effect.map(
      Metric.value(Metric.withAttributes(HttpMetrics.refused, { reason: signal })),
      ({ count }) => count
    )
  })

/** Waits until a signal is as told. */
const reaches = (signal: string, reached: (shown: { readonly value: number; readonly pressure: number }) => boolean) =>
  soon(
    Effect.repeat(
      Effect.tap(shown(signal), () => Effect.sleep(10)),
      { until: (seen) => reached(seen) }
    )
  )

/**
 * Asks until the answer has a status: not so often that it is a load by itself. One that is let in, as is one in many, may have to wait at a
 * door that does not open: it is given up.
 */
const answers = (url: string, status: number) =>
  soon(
    Effect.timeoutOption(get(url), "1 second").pipe(
      Effect.tap(() => Effect.sleep(10)),
      Effect.map(Option.getOrUndefined),
      Effect.repeat({ until: (answer): answer is Answer => answer?.status === status })
    )
  )

/** Asks for what is sheddable until it is refused, which must be for the signal, and until it is not any more. */
const refuses = Effect.fnUntraced(function* (url: string, signal: string) {
  const { refused } = yield* shown(signal)
  const answer = yield* answers(url, 503)
  assert.include(JSON.parse(answer.body).detail, `(${signal})`)
  assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
  const after = yield* shown(signal)
  assert.isAbove(after.refused, refused)
  assert.isAbove(after.pressure, 0)
})

describe("The signals of a server", () => {
  for (const signal of ["eventLoopDelay", "eventLoopUtilization"] as const) {
    it.live(`refuse for the ${signal} of a loop that is blocked, and no longer when it is not`, () =>
      Effect.gen(function* () {
        const server = yield* serve([signal], HttpRouter.add("GET", "/burn", burn(250)))
        assert.strictEqual((yield* get(server.url("/"))).status, 200)
        const burning = yield* Effect.forkChild(Effect.forever(get(server.url("/burn"))))
        yield* refuses(server.url("/"), signal)
        yield* Fiber.interrupt(burning)
        yield* answers(server.url("/"), 200)
        yield* reaches(signal, ({ pressure }) => pressure === 0)
      })
    )
  }

  it.live("refuse for the delay of the queue at the door, the sheddable only, and say how long it is", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* serve(["queueDelay"], HttpRouter.add("GET", "/held", Effect.as(release.await, ok)))
      assert.isTrue(Duration.isZero((yield* server.stats).queueDelay))
      const first = yield* Effect.forkChild(get(server.url("/held")))
      yield* until(server, ({ running }) => running === 1)
      const second = yield* Effect.forkChild(get(server.url("/held")))
      yield* until(server, ({ queueDelay }) => Duration.toMillis(queueDelay) > 100)
      // Twice the target, from which on it would refuse normal requests if it were its to do.
      const late = yield* reaches("queueDelay", ({ value }) => value > 39.9)
      assert.isAbove(late.pressure, 0.49)
      assert.isAtMost(late.pressure, 0.5)
      const { refused } = yield* shown("queueDelay")
      const normal = yield* Effect.forkChild(get(server.url("/normal")))
      yield* until(server, ({ queued }) => queued === 2)
      assert.strictEqual((yield* shown("queueDelay")).refused, refused)
      // Nobody could start before the latch is opened: what is answered is refused.
      yield* refuses(server.url("/"), "queueDelay")
      yield* release.open
      for (const fiber of [first, second, normal]) yield* soon(Fiber.join(fiber))
      yield* answers(server.url("/"), 200)
      assert.isTrue(Duration.isZero((yield* server.stats).queueDelay))
    })
  )

  it.live("refuse for a pool of threads that is filled", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const signals = [LoadSignals.saturation("pool", () => Effect.runSync(Offload.saturation(pool)))]
      const server = yield* serve(signals, Layer.empty)
      assert.strictEqual((yield* get(server.url("/"))).status, 200)
      const cell = new Int32Array(new SharedArrayBuffer(4))
      const tasks = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(pool.hold({ cell })))
      yield* refuses(server.url("/"), "pool")
      yield* refuses(server.url("/normal"), "pool")
      assert.isAbove((yield* shown("pool")).value, 0.5)
      Atomics.store(cell, 0, 1)
      Atomics.notify(cell, 0)
      yield* soon(Effect.forEach(tasks, (task) => Fiber.join(task)))
      yield* answers(server.url("/normal"), 200)
    }).pipe(Effect.provide(poolLayer))
  )

  it.live("refuse for a heap that is nearly full, and no longer when it is not", () =>
    Effect.gen(function* () {
      const url = yield* heapServer
      const send = (path: string) => soon(get(`${url}${path}`, { method: "POST" }))
      assert.strictEqual((yield* get(`${url}/`)).status, 200)
      assert.strictEqual((yield* send("/fill")).status, 204)
      assert.include((yield* answers(`${url}/`, 503)).body, "(heap)")
      assert.strictEqual((yield* send("/empty")).status, 204)
      yield* answers(`${url}/`, 200)
    })
  )

  it.live("are made of what the server measures, where a function makes them", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* serve(
        [
          ({ queueDelay }) => LoadSignals.queueDelay(queueDelay, { name: "door", start: 1, full: 2 }),
          ({ eventLoopDelay }) => LoadSignals.eventLoopDelay(eventLoopDelay),
          ({ eventLoopUtilization }) => LoadSignals.eventLoopUtilization(eventLoopUtilization)
        ],
        HttpRouter.add("GET", "/held", Effect.as(release.await, ok))
      )
      const held = yield* Effect.forEach([1, 2], () => Effect.forkChild(get(server.url("/held"))))
      yield* until(server, ({ queued }) => queued === 1)
      yield* reaches("door", ({ pressure }) => pressure > 0.9)
      yield* refuses(server.url("/normal"), "door")
      assert.isAbove((yield* shown("eventLoopUtilization")).value, 0)
      yield* release.open
      yield* soon(Effect.forEach(held, (fiber) => Fiber.join(fiber)))
    })
  )

  it.live("refuse for nothing that can not be sampled any more, which is logged once until it works again", () =>
    Effect.gen(function* () {
      const logged: Array<readonly [string, unknown]> = []
      const logger = Logger.make(({ cause, logLevel, message }) => {
        const text = String(message)
        if (text.includes("signal")) logged.push([`${logLevel} ${text}`, Cause.squash(cause)])
      })
      const broken = new Error("the sensor is gone")
      let works = true
      let sampled = 0
      const sample = () => {
        sampled++
        if (!works) throw broken
        return 1
      }
      const signals = [{ name: "sensor", sample, start: 0.1, full: 0.2, smoothing: 0 }, "queueDelay" as const]
      const server = yield* Effect.provide(serve(signals, Layer.empty), Logger.layer([logger]))
      const again = Effect.suspend(() => {
        const before = sampled
        return soon(Effect.repeat(Effect.sleep(5), { until: () => sampled >= before + 3 }))
      })
      yield* answers(server.url("/normal"), 503)
      works = false
      yield* answers(server.url("/"), 200)
      yield* answers(server.url("/normal"), 200)
      const line = 'Warn the signal "sensor" can not be sampled, so its pressure falls until it works again'
      assert.deepStrictEqual(logged, [[line, broken]])
      works = true
      yield* answers(server.url("/normal"), 503)
      works = false
      yield* again
      assert.deepStrictEqual(logged, [
        [line, broken],
        [line, broken]
      ])
    })
  )

  it.live("are checked when the server is made", () =>
    Effect.gen(function* () {
      const refusal = (signals: ReadonlyArray<unknown>) =>
        Effect.exit(Effect.scoped(serve(signals as OverloadOptions.OverloadOptions["signals"], Layer.empty)))
      assert.deepStrictEqual(
        yield* refusal(["cpu"]),
        Exit.die(
          new RangeError(
            'Server.layer: signals must be of LoadSignals or one of heap, eventLoopDelay, eventLoopUtilization, queueDelay, got "cpu"'
          )
        )
      )
      assert.deepStrictEqual(
        yield* refusal(["heap", LoadSignals.heap()]),
        Exit.die(new RangeError('LoadSignals.make: two signals are named "heap"'))
      )
    })
  )
})

/** The URL of the server of `signals/heap.ts`, which ends with the scope. */
const heapServer = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = new URL("./signals/heap.ts", import.meta.url).pathname
      const child = spawn(
        process.execPath,
        ["--max-old-space-size=128", "--max-semi-space-size=1", "--expose-gc", file],
        {
          stdio: ["ignore", "pipe", "inherit"]
        }
      )
      const exited = once(child, "exit")
      for await (const line of createInterface({ input: child.stdout })) {
        const url = /http:\/\/\S+/.exec(line)?.[0]
        if (url !== undefined) return { child, exited, url }
      }
      throw new Error("the server ended without printing its URL")
    }),
    ({ child, exited }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return exited
      })
  ),
  ({ url }) => url
)
