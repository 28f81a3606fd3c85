import { HttpMetrics, JsonBody, Priority, Problem, RateLimit, type Server } from "@spillway/http"
import { RawClient } from "@spillway/http/testing"
import { AdaptiveLimit, LoadSignals } from "@spillway/runtime"
import { assert, describe, it } from "@effect/vitest"
import type { IncomingMessage } from "node:http"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { Effect, Fiber, Latch, Layer, Logger, Metric } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { limitOf } from "../src/internal/classify.ts"
import { get, getRequest, handshake, router, soon, start, until } from "./fixture.ts"
import type { Running } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")

/** Burns the event loop for so many milliseconds. */
const burn = (millis: number) =>
  Effect.sync(() => {
    for (const end = performance.now() + millis; performance.now() < end;);
  })

/** A server whose handlers wait, and the order in which they began. */
const held = () => {
  const release = Latch.makeUnsafe(false)
  const began: Array<string> = []
  const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => {
    began.push(url)
    return url === "/livez" ? Effect.succeed(ok) : Effect.as(release.await, ok)
  })
  return { release, began, app: HttpServer.serve(handler) }
}

/** Sends some requests at once, so many times, each time when all are answered. Says how long the slowest time took, in milliseconds. */
const askInTurn = (server: Running, requests: string, count: number, times: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    let [answered, left, slowest, askedAt] = [0, times, 0, 0]
    const ask = () => {
      if (askedAt > 0) slowest = Math.max(slowest, performance.now() - askedAt)
      if (left-- === 0) return resume(Effect.succeed(slowest))
      answered = 0
      askedAt = performance.now()
      socket.write(requests)
    }
    const socket = connect(server.port, "127.0.0.1", ask)
    socket.on("data", (chunk) => {
      answered += chunk.toString("latin1").split("HTTP/1.1 ").length - 1
      if (answered >= count) ask()
    })
    return Effect.sync(() => socket.destroy())
  })

/** On a machine that is busy with something else a request may wait long, and would rightly be refused. */
const patient = { maxQueueWait: "1 minute", queueTarget: Infinity } as const

/** A limit that tells what it has heard. */
const listening = () => {
  const outcomes: Array<string> = []
  const limit = AdaptiveLimit.make(AdaptiveLimit.fixed({ limit: 10 }))
  const record = limit.record.bind(limit)
  limit.record = (now, latency, inFlight, outcome) => {
    outcomes.push(outcome)
    return record(now, latency, inFlight, outcome)
  }
  return { limit, outcomes }
}

/** Answers after half a second, and `/slow` never. */
const afterHalf = HttpServer.serve(
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
    url === "/slow" ? Effect.never : Effect.as(Effect.sleep("500 millis"), ok)
  )
)

describe("Server, overloaded,", () => {
  it.live("starts the critical first, and lets the sheddable give way where there is no room", () =>
    Effect.gen(function* () {
      const { app, began, release } = held()
      const priority = Priority.first([
        Priority.byRoute({ "GET /orders/:id": "critical" }),
        Priority.byHeader("purpose", { prefetch: "sheddable" })
      ])
      const server = yield* start(app, {
        maxConcurrent: 1,
        maxQueued: 2,
        priority,
        ...patient
      })
      const send = (path: string, init?: RequestInit) => Effect.forkChild(get(server.url(path), init))
      const first = yield* send("/first")
      yield* until(server, (stats) => stats.running === 1)
      const prefetch = yield* send("/prefetch", { headers: { purpose: "prefetch" } })
      yield* until(server, (stats) => stats.queued === 1)
      const normal = yield* send("/normal")
      yield* until(server, (stats) => stats.queued === 2)
      const order = yield* send("/orders/1")
      const shed = yield* soon(Fiber.join(prefetch))
      assert.strictEqual(shed.status, 503)
      yield* release.open
      const others = yield* soon(Effect.forEach([first, normal, order], (fiber) => Fiber.join(fiber)))
      assert.deepStrictEqual(
        others.map(({ status }) => status),
        [200, 200, 200]
      )
      assert.deepStrictEqual(began, ["/first", "/orders/1", "/normal"])
    })
  )

  it.live("lets one whose client has closed its side wait until it is known to be there, as if it had come then", () =>
    Effect.gen(function* () {
      const { app, began, release } = held()
      const server = yield* start(app, { maxConcurrent: 1, ...patient })
      const first = yield* Effect.forkChild(get(server.url("/first")))
      yield* until(server, (stats) => stats.running === 1)
      const closed = yield* RawClient.connect(server)
      yield* closed.write(getRequest("/closed"))
      yield* until(server, (stats) => stats.queued === 1)
      const later = yield* Effect.forkChild(get(server.url("/later")))
      yield* until(server, (stats) => stats.queued === 2)
      yield* closed.end
      // The server has seen the end when it asks whether anybody is there.
      yield* soon(closed.receivedUntil("100 Continue"))
      yield* until(server, (stats) => stats.queued === 2)
      yield* release.open
      yield* soon(Effect.forEach([first, later], (fiber) => Fiber.join(fiber)))
      yield* soon(closed.receivedUntil("HTTP/1.1 200"))
      assert.deepStrictEqual(began, ["/first", "/later", "/closed"])
    })
  )

  it.live("keeps no place for one whose client has closed its side", () =>
    Effect.gen(function* () {
      const { app, release } = held()
      const server = yield* start(app, {
        maxConcurrent: 1,
        maxQueued: 1,
        ...patient
      })
      const first = yield* Effect.forkChild(get(server.url("/first")))
      yield* until(server, (stats) => stats.running === 1)
      // It has its place again after 50 ms, which on a busy machine may be over before the other comes.
      const takePlace = Effect.gen(function* () {
        const [closed, later] = [yield* RawClient.connect(server), yield* RawClient.connect(server)]
        yield* closed.write(getRequest("/closed"))
        yield* until(server, (stats) => stats.queued === 1)
        yield* closed.end
        yield* Effect.sleep("10 millis")
        yield* later.write(getRequest("/later"))
        const refused = ({ receivedUntil }: RawClient.Connection) => receivedUntil("HTTP/1.1 503")
        const isTaken = yield* soon(Effect.race(Effect.as(refused(closed), true), Effect.as(refused(later), false)))
        if (isTaken) return later
        yield* closed.reset
        yield* until(server, (stats) => stats.queued === 0)
        return yield* Effect.fail("late")
      })
      const later = yield* Effect.retry(takePlace, { times: 20 })
      yield* release.open
      assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
      assert.include(yield* soon(later.receivedUntil("HTTP/1.1 200")), "HTTP/1.1 200")
    })
  )

  it.live("keeps the share of a partition although another has all permits", () =>
    Effect.gen(function* () {
      const { app, began, release } = held()
      const server = yield* start(app, {
        maxConcurrent: 4,
        partitions: { default: 3, batch: 1 },
        partition: ({ url }) => (url === "/batch" ? "batch" : undefined)
      })
      const fibers = yield* Effect.forEach(["/", "/", "/", "/"], (path) => Effect.forkChild(get(server.url(path))))
      yield* until(server, (stats) => stats.running === 4)
      const batch = yield* Effect.forkChild(get(server.url("/batch")))
      yield* until(server, (stats) => stats.running === 5)
      assert.strictEqual(began.at(-1), "/batch")
      yield* release.open
      yield* soon(Effect.forEach([...fibers, batch], (fiber) => Fiber.join(fiber)))
      yield* until(server, (stats) => stats.running === 0)
    })
  )

  it.live("refuses for a signal, names it, and lets the critical and the probes pass", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(HttpRouter.add("GET", "/", ok), HttpRouter.add("GET", "/livez", ok))
      const server = yield* start(router(routes), {
        priority: Priority.first([Priority.byHeader("x-priority")]),
        signals: [{ name: "memory", sample: () => 1, start: 0.1, full: 0.2, smoothing: 0 }]
      })
      const status = (path: string, headers: Record<string, string> = {}) =>
        Effect.map(get(server.url(path), { headers }), (answer) => [answer.status, answer.body] as const)
      const [refused, body] = yield* soon(Effect.repeat(status("/"), { until: ([status]) => status === 503 }))
      assert.strictEqual(refused, 503)
      assert.include(body, "(memory)")
      assert.strictEqual((yield* status("/", { "x-priority": "critical" }))[0], 200)
      assert.strictEqual((yield* status("/livez"))[0], 200)
    })
  )

  it.live("keeps the connection of one that it refuses, and answers what is pipelined behind", () =>
    Effect.gen(function* () {
      const { app, release } = held()
      const server = yield* start(app, { maxConcurrent: 1, maxQueued: 0 })
      const first = yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, (stats) => stats.running === 1)
      const client = yield* RawClient.connect(server)
      const refusals = (text: string) => text.split("HTTP/1.1 503").length - 1
      for (const path of ["/a", "/b"]) {
        yield* client.write(getRequest(path))
        yield* soon(client.receivedUntil('try again later"}'))
      }
      yield* client.write(getRequest("/c") + getRequest("/d") + getRequest("/e"))
      yield* soon(
        Effect.repeat(
          Effect.tap(client.received, () => Effect.sleep(2)),
          { until: (text) => refusals(text) === 5 }
        )
      )
      const text = yield* client.received
      assert.strictEqual(text.match(/connection: keep-alive/gi)?.length, 5)
      yield* release.open
      yield* soon(Fiber.join(first))
      yield* client.write(getRequest("/f", "Connection: close\r\n"))
      yield* soon(client.receivedUntil("HTTP/1.1 200 OK"))
      yield* until(server, (stats) => stats.running === 0)
    })
  )

  it.live("answers a probe between two handlers that burn the event loop, however many wait", () =>
    Effect.gen(function* () {
      let burnt = 0
      let sendProbe: Effect.Effect<void, unknown> = Effect.void
      // The first sends the probe when it has burnt, so that it comes while the others wait.
      const busy = Effect.tap(burn(20), () => Effect.suspend(() => (++burnt === 1 ? sendProbe : Effect.void)))
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/", Effect.as(busy, ok)),
        HttpRouter.add("GET", "/livez", ok)
      )
      const server = yield* start(router(routes))
      const probe = yield* RawClient.connect(server)
      sendProbe = probe.write(getRequest("/livez"))
      const clients = yield* Effect.forEach(Array.from({ length: 50 }), () => RawClient.connect(server))
      yield* Effect.forEach(clients, (client) => client.write(getRequest("/")), { discard: true })
      yield* soon(probe.receivedUntil("ok"))
      // One in a turn of the loop: the probe is read in the next, and its answer here in one of those after.
      assert.isBelow(burnt, 5)
      yield* soon(Effect.forEach(clients, (client) => client.receivedUntil("\r\n\r\n"), { discard: true }))
      const answers = yield* Effect.forEach(clients, (client) => client.received)
      const refused = answers.filter((text) => text.startsWith("HTTP/1.1 503")).length
      assert.strictEqual(burnt + refused, 50)
      // All came at once, and it takes a second to serve them.
      assert.isAbove(refused, 0)
    })
  )

  it.live("learns nothing of the limit from errors of the client, nor from answers of 503", () =>
    Effect.gen(function* () {
      const { limit, outcomes } = listening()
      const fail = (path: `/${string}`, error: unknown) => HttpRouter.add("GET", path, Effect.die(error))
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/422", Effect.fail(Problem.make({ status: 422 }))),
        HttpRouter.add("GET", "/503", Effect.fail(Problem.unavailable("full", 1))),
        HttpRouter.add("GET", "/502", Effect.fail(Problem.make({ status: 502 }))),
        fail("/500", new Error("expected by the test")),
        HttpRouter.add("GET", "/504", Effect.never)
      )
      const server = yield* start(router(routes), { concurrencyLimit: () => limit, requestDeadline: "100 millis" })
      const statuses: Array<number> = []
      for (const path of ["/422", "/none", "/503", "/502", "/500", "/504"]) {
        statuses.push((yield* soon(get(server.url(path)))).status)
      }
      assert.deepStrictEqual(statuses, [422, 404, 503, 502, 500, 504])
      assert.deepStrictEqual(outcomes, ["success", "success", "ignored", "dropped", "dropped", "dropped"])
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("takes it for a drop when a client goes away after the mean time, and for nothing when it goes before", () =>
    Effect.gen(function* () {
      const { limit, outcomes } = listening()
      const server = yield* start(afterHalf, { concurrencyLimit: () => limit })
      yield* soon(get(server.url("/")))
      const leave = (millis: number) =>
        Effect.gen(function* () {
          const client = yield* RawClient.connect(server)
          yield* client.write(getRequest("/slow"))
          yield* until(server, ({ running }) => running === 1)
          yield* Effect.sleep(millis)
          yield* client.reset
          yield* until(server, ({ running }) => running === 0)
        })
      yield* leave(0)
      // Longer than the mean: what is tested is that time goes by.
      yield* leave(1000)
      assert.deepStrictEqual(outcomes, ["success", "ignored", "dropped"])
    })
  )

  it.live("takes the deadline of a client for a drop when it was longer than the mean time, and else for nothing", () =>
    Effect.gen(function* () {
      const { limit, outcomes } = listening()
      const server = yield* start(afterHalf, { concurrencyLimit: () => limit })
      yield* soon(get(server.url("/")))
      for (const millis of ["20", "1000"]) {
        const ask = get(server.url("/slow"), { headers: { "x-request-timeout-ms": millis } })
        // On a machine that has no time it may pass at the door.
        const { status } = yield* soon(Effect.repeat(ask, { until: (answer) => answer.status !== 503 }))
        assert.strictEqual(status, 504)
      }
      assert.deepStrictEqual(outcomes, ["success", "ignored", "dropped"])
    })
  )

  it.live("refuses so many a second, and reads those who ask for more later", () =>
    Effect.gen(function* () {
      const { app, release } = held()
      const server = yield* start(app, { maxConcurrent: 1, maxQueued: 0, maxRefusalRate: 500 })
      const first = yield* Effect.forkChild(get(server.url("/")))
      yield* until(server, ({ running }) => running === 1)
      const client = yield* RawClient.connect(server)
      const began = performance.now()
      // Of what is in its pipe no more than a packet was read already.
      yield* client.write(getRequest(`/?${"x".repeat(400)}`).repeat(1200))
      const refused = Effect.map(client.received, (text) => text.split("HTTP/1.1 503").length - 1)
      yield* soon(
        Effect.repeat(
          Effect.tap(refused, () => Effect.sleep(20)),
          { until: (count) => count >= 1200 }
        )
      )
      assert.isAbove(performance.now() - began, 1000)
      yield* release.open
      assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
    })
  )

  for (const [what, request] of [
    ["GET", getRequest("/")],
    ["POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"]
  ] as const) {
    it.live(
      `does not read for a second those who ask again when they were refused, beyond so many a second (${what})`,
      () =>
        Effect.gen(function* () {
          const { app, release } = held()
          const server = yield* start(app, { maxConcurrent: 1, maxQueued: 0, maxRefusalRate: 200 })
          const first = yield* Effect.forkChild(get(server.url("/")))
          yield* until(server, ({ running }) => running === 1)
          /** Clients that had to wait so long for a refusal. */
          const unread = new Set<Socket>()
          const clients = Array.from({ length: 20 }, () => {
            let asked = performance.now()
            const socket = connect(server.port, "127.0.0.1", () => socket.write(request))
            return socket.on("data", () => {
              if (performance.now() - asked > 900) unread.add(socket)
              asked = performance.now()
              socket.write(request)
            })
          })
          yield* Effect.addFinalizer(() => Effect.sync(() => clients.forEach((socket) => socket.destroy())))
          yield* soon(Effect.repeat(Effect.sleep(20), { until: () => unread.size === 20 }))
          yield* release.open
          assert.strictEqual((yield* soon(Fiber.join(first))).status, 200)
        })
    )
  }

  it.live(
    "goes on reading of those who are refused in a burst, or between what is served, or behind a trusted proxy",
    () =>
      Effect.gen(function* () {
        const { app, release } = held()
        const options = {
          maxConcurrent: 1,
          maxQueued: 0,
          exempt: (request: IncomingMessage) => request.url === "/livez"
        }
        const server = yield* start(app, options)
        const proxied = yield* start(app, { ...options, trustedProxies: ["127.0.0.0/8"] })
        const first = yield* Effect.forEach([server, proxied], ({ url }) => Effect.forkChild(get(url("/"))))
        yield* Effect.forEach([server, proxied], (each) => until(each, ({ running }) => running === 1))
        // No faster than the machine can, but nothing is ever held for less than a second.
        assert.isBelow(yield* soon(askInTurn(server, getRequest("/").repeat(20), 20, 50)), 900)
        const mixed = getRequest("/").repeat(10) + getRequest("/livez")
        const rounds = 300
        assert.isBelow(yield* soon(askInTurn(server, mixed.repeat(2), 22, rounds)), 900)
        assert.isBelow(yield* soon(askInTurn(proxied, getRequest("/").repeat(20), 20, rounds)), 900)
        yield* release.open
        yield* soon(Effect.forEach(first, (fiber) => Fiber.join(fiber)))
      })
  )

  it.live("answers 500 where a function that judges requests throws, and lives", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.succeed(ok))
      const fail = ({ headers }: IncomingMessage): never => {
        throw new Error(`no luck with ${headers.host}`)
      }
      const unlucky = (judge: (request: IncomingMessage) => never) => (request: IncomingMessage) =>
        request.url === "/unlucky" ? judge(request) : undefined
      for (const options of [
        { exempt: (request) => unlucky(fail)(request) === null },
        {
          exempt: (request) => unlucky(fail)(request) === null,
          rateLimit: { limit: RateLimit.make({ limit: 100 }) }
        },
        { priority: (request) => unlucky(fail)(request) ?? "normal" },
        { partition: unlucky(fail) }
      ] satisfies ReadonlyArray<Partial<Server.Options>>) {
        const server = yield* start(app, options)
        for (const init of [{}, { method: "POST", body: "x" }]) {
          const answer = yield* soon(get(server.url("/unlucky"), init))
          assert.strictEqual(answer.status, 500)
          assert.notInclude(answer.body, "luck")
        }
        const client = yield* RawClient.connect(server)
        yield* client.write(handshake("/unlucky"))
        yield* soon(client.receivedUntil("HTTP/1.1 500"))
        assert.strictEqual((yield* soon(get(server.url("/")))).status, 200)
        const { queued, running } = yield* server.stats
        assert.deepStrictEqual([queued, running], [0, 0])
      }
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live(
    "lets in no more of those that wait and then compute than the loop has time for, and tells what they cost",
    () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.as(Effect.andThen(Effect.sleep(300), burn(5)), ok)))
        const ask = (count: number) =>
          Effect.forEach(Array.from({ length: count }), () => Effect.forkChild(get(server.url("/"))))
        const cost = Effect.andThen(Effect.flatMap(ask(20), Fiber.joinAll), Metric.value(HttpMetrics.requestCost))
        yield* soon(Effect.repeat(cost, { until: ({ value }) => value > 0.004 }))
        const fibers = yield* ask(300)
        let most = 0
        const watching = Effect.tap(server.stats, ({ running }) => Effect.sync(() => (most = Math.max(most, running))))
        yield* Effect.forkChild(Effect.forever(Effect.andThen(watching, Effect.sleep(5))))
        const answers = yield* soon(Fiber.joinAll(fibers))
        assert.isAbove(answers.filter(({ status }) => status === 200).length, 5)
        assert.isTrue(answers.every(({ status }) => status === 200 || status === 503))
        assert.isBelow(most, 200)
      })
  )

  it.live(
    "knows what those cost whose handlers compute, and whose clients then hang up instead of sending their body",
    () =>
      Effect.gen(function* () {
        let began = 0
        const begin = Effect.andThen(
          Effect.sync(() => began++),
          burn(5)
        )
        const read = Effect.andThen(begin, JsonBody.bytes({ mediaTypes: ["text/plain"] }))
        const server = yield* start(HttpServer.serve(Effect.as(Effect.result(read), ok)))
        const upload = Effect.scoped(
          Effect.gen(function* () {
            const before = began
            const client = yield* RawClient.connect(server)
            yield* client.write(
              "POST / HTTP/1.1\r\nHost: test\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n"
            )
            // It has begun, and given its permit up.
            yield* until(server, ({ running }) => running === 0 && began > before)
          })
        )
        const cost = Effect.andThen(upload, Metric.value(HttpMetrics.requestCost))
        yield* soon(Effect.repeat(cost, { until: ({ value }) => value > 0.004 }))
      })
  )

  it.live("shows its limit, the delay of its queue and each signal as metrics", () =>
    Effect.gen(function* () {
      const { app, release } = held()
      const signals = [LoadSignals.saturation("images", () => 0.75)]
      const server = yield* start(app, { maxConcurrent: 1, signals, priority: () => "critical", ...patient })
      const fibers = yield* Effect.forEach(["/a", "/b"], (path) => Effect.forkChild(get(server.url(path))))
      yield* until(server, ({ queued, running }) => running === 1 && queued === 1)
      const images = { signal: "images" }
      const read = Effect.all({
        limit: Metric.value(HttpMetrics.concurrencyLimit),
        delay: Metric.value(HttpMetrics.queueDelay),
        value: Metric.value(Metric.withAttributes(HttpMetrics.signalValue, images)),
        pressure: Metric.value(Metric.withAttributes(HttpMetrics.signalPressure, images))
      })
      const shown = yield* soon(
        Effect.repeat(
          Effect.tap(read, () => Effect.sleep(2)),
          { until: ({ delay, value }) => delay.value > 0 && value.value > 0 }
        )
      )
      assert.strictEqual(shown.limit.value, 1)
      assert.strictEqual(shown.value.value, 0.75)
      assert.strictEqual(shown.pressure.value, 0.5)
      yield* release.open
      yield* soon(Effect.forEach(fibers, (fiber) => Fiber.join(fiber)))
      assert.strictEqual((yield* read).delay.value, 0)
    })
  )

  it.live(
    "lowers an adaptive limit where half of all fail, down to 16, and none that is fixed, as by default, or small",
    () =>
      Effect.gen(function* () {
        const app = HttpServer.serve(Effect.succeed(HttpServerResponse.empty({ status: 500 })))
        const fixed = yield* start(app)
        const small = yield* start(app, { maxConcurrent: 16, concurrencyLimit: "adaptive" })
        const server = yield* start(app, { concurrencyLimit: "adaptive" })
        assert.strictEqual((yield* server.stats).limit, 1024)
        yield* soon(
          Effect.repeat(
            Effect.andThen(
              Effect.forEach([server, fixed, small], ({ url }) => get(url("/")), { concurrency: 3 }),
              server.stats
            ),
            { until: ({ limit }) => limit === 16 }
          )
        )
        assert.deepStrictEqual([(yield* fixed.stats).limit, (yield* small.stats).limit], [1024, 16])
      })
  )

  it("finds a limit of its own for each of several event loops, in its part of the permits", () => {
    const limits = [1, 2, 64].map((loops) => limitOf({ concurrencyLimit: "adaptive" }, 1024, loops)?.limit)
    assert.deepStrictEqual(limits, [1024, 512, undefined])
  })

  it.live("lowers the limit for answers that fail, and raises nothing above maxConcurrent", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.succeed(HttpServerResponse.empty({ status: 500 })))
      const server = yield* start(app, {
        maxConcurrent: 30,
        concurrencyLimit: () =>
          AdaptiveLimit.make(AdaptiveLimit.aimd({ initial: 100, min: 5, max: 100 }), { duration: 1, samples: 1 })
      })
      assert.strictEqual((yield* server.stats).limit, 30)
      yield* soon(
        Effect.repeat(Effect.andThen(get(server.url("/")), server.stats), { until: ({ limit }) => limit === 5 })
      )
    })
  )
})
