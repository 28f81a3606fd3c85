import type { Server } from "node:http"
import { ConnectionFlood, OpenLoop } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { soon } from "../fixture.ts"
import { http, https, nobody, tcp } from "./servers.ts"

const noFailures = { timedOut: 0, notSent: 0, refused: 0, broken: 0, malformed: 0 }

const assertConsistent = (report: OpenLoop.Report) => {
  const { answered, failures, offered, statuses, timeline, useful } = report
  const sum = (counts: ReadonlyArray<number>) => counts.reduce((a, b) => a + b, 0)
  assert.strictEqual(offered, answered + sum(Object.values(failures)))
  assert.strictEqual(answered, sum(Object.values(statuses)))
  assert.strictEqual(offered, sum(timeline.map((second) => second.offered)))
  assert.strictEqual(answered, sum(timeline.map((second) => second.answered)))
  assert.strictEqual(useful, sum(timeline.map((second) => second.useful)))
  assert.strictEqual(useful, report.latencyMillis?.count ?? 0)
  assert.strictEqual(answered - useful, report.otherLatencyMillis?.count ?? 0)
}

const keepAlive = (server: Server) => {
  server.keepAliveTimeout = 60_000
}

const blockFor = (millis: number) =>
  Effect.sync(() => {
    const until = performance.now() + millis
    while (performance.now() < until);
  })

describe("OpenLoop", () => {
  it.live("sends every request that is due, over kept connections", () =>
    Effect.gen(function* () {
      const paths: Array<string | undefined> = []
      const connections = new Set<unknown>()
      const server = yield* http((request, response) => {
        paths.push(request.url)
        connections.add(request.socket)
        response.end("hi")
      })
      const report = yield* soon(
        OpenLoop.run(`${server.url}/a?b`, { rate: 200, duration: "500 millis", connections: 7 })
      )
      assertConsistent(report)
      assert.deepStrictEqual([report.offered, report.statuses, report.failures], [100, { 200: 100 }, noFailures])
      assert.deepStrictEqual(paths, Array.from({ length: 100 }).fill("/a?b"))
      assert.deepStrictEqual([connections.size, report.seconds, report.goodput], [7, 0.5, 200])
      assert.isAtMost(report.latencyMillis!.p50, report.latencyMillis!.max)
    })
  )

  it.live("opens a connection for each request", () =>
    Effect.gen(function* () {
      const connections = new Set<unknown>()
      const server = yield* http((request, response) => {
        connections.add(request.socket)
        response.end(request.headers.connection)
      })
      const report = yield* soon(OpenLoop.run(server, { rate: 200, duration: "200 millis", connection: "new" }))
      assert.deepStrictEqual([report.statuses, connections.size], [{ 200: 40 }, 40])
    })
  )

  it.live("counts latency from when a request was due, however late it could be sent", () =>
    Effect.gen(function* () {
      let first = true
      const server = yield* http((_, response) => {
        if (first) setTimeout(() => response.end(), 500)
        else response.end()
        first = false
      })
      const report = yield* soon(OpenLoop.run(server, { rate: 100, duration: "500 millis", connections: 1 }))
      assertConsistent(report)
      assert.deepStrictEqual(report.statuses, { 200: 50 })
      // A client that waits for its answers would have seen one that is slow, and a median of about a millisecond.
      assert.isAtLeast(report.latencyMillis!.p50, 150)
      assert.isAtLeast(report.latencyMillis!.max, 490)
      assert.isAtLeast(report.late, 40)
    })
  )

  it.live("loses patience, closes its connections, and counts what was never sent", () =>
    Effect.gen(function* () {
      let [opened, closed] = [0, 0]
      const server = yield* tcp((socket) => {
        opened++
        socket.on("end", () => closed++).resume()
      })
      const options = { rate: 10_000, duration: 10, patience: 300, connections: 2 }
      const report = yield* soon(OpenLoop.run(server, options))
      assertConsistent(report)
      const { notSent, timedOut, ...others } = report.failures
      assert.deepStrictEqual(
        [report.offered, timedOut + notSent, others],
        [100, 100, { refused: 0, broken: 0, malformed: 0 }]
      )
      assert.isAtLeast(timedOut, 2)
      assert.isAtLeast(notSent, 1)
      assert.strictEqual(report.goodput, 0)
      // Nobody answers on a connection on which an answer is outstanding: each request was sent on one of its own.
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => opened === timedOut && closed === timedOut }))
    })
  )

  const failing = {
    refused: [nobody, "ECONNREFUSED"],
    broken: [tcp((socket) => socket.once("data", () => socket.resetAndDestroy())), "ECONNRESET"],
    malformed: [tcp((socket) => socket.once("data", () => socket.write("hello"))), undefined]
  } as const
  for (const [failure, [start, code]] of Object.entries(failing)) {
    it.live(`counts requests that are ${failure}`, () =>
      Effect.gen(function* () {
        const report = yield* soon(OpenLoop.run(yield* start, { rate: 100, duration: 100 }))
        assertConsistent(report)
        assert.deepStrictEqual(report.failures, { ...noFailures, [failure]: 10 })
        assert.deepStrictEqual(report.errors, code === undefined ? {} : { [code]: 10 })
      })
    )
  }

  it.live("counts a connection that is closed within an answer as broken", () =>
    Effect.gen(function* () {
      const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"
      const server = yield* tcp((socket) => socket.once("data", () => socket.end(half)))
      const report = yield* soon(OpenLoop.run(server, { rate: 100, duration: 100 }))
      assert.deepStrictEqual([report.failures, report.errors], [{ ...noFailures, broken: 10 }, {}])
    })
  )

  it.live("tells useful answers from others", () =>
    Effect.gen(function* () {
      let n = 0
      const server = yield* http((_, response) => response.writeHead(n++ % 4 === 0 ? 503 : 202).end())
      const report = yield* soon(OpenLoop.run(server, { rate: 100, duration: 400 }))
      assertConsistent(report)
      assert.deepStrictEqual([report.statuses, report.useful, report.goodput], [{ 202: 30, 503: 10 }, 30, 75])
      const useful = (status: number) => status === 503
      const other = yield* soon(OpenLoop.run(server, { rate: 100, duration: 400, useful }))
      assert.strictEqual(other.useful, 10)
    })
  )

  it.live("sends what it is told for each request and tells of each answer", () =>
    Effect.gen(function* () {
      const received: Array<string> = []
      const server = yield* http((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += chunk))
        request.on("end", () => {
          received.push(`${request.method} ${request.url} ${request.headers["content-length"]} ${body}`)
          response.writeHead(201).end("made")
        })
      })
      const answered = new Set<string>()
      const report = yield* soon(
        OpenLoop.run(server, {
          rate: 100,
          duration: 50,
          request: (n) => ({ method: "PUT", path: `/${n}`, body: `é${n}` }),
          onAnswer: (n, status, latency) => answered.add(`${n} ${status} ${latency > 0}`)
        })
      )
      assert.deepStrictEqual(report.statuses, { 201: 5 })
      assert.deepStrictEqual(new Set(received), new Set([0, 1, 2, 3, 4].map((n) => `PUT /${n} 3 é${n}`)))
      assert.deepStrictEqual(answered, new Set([0, 1, 2, 3, 4].map((n) => `${n} 201 true`)))
    })
  )

  it.live("reads answers of every framing over one connection", () =>
    Effect.gen(function* () {
      let n = 0
      const server = yield* http((request, response) => {
        if (request.method === "HEAD") response.setHeader("Content-Length", 99)
        if (n++ % 2 === 0) response.write("chunk")
        response.end()
      })
      const report = yield* soon(
        OpenLoop.run(server, {
          rate: 200,
          duration: 100,
          connections: 1,
          request: (n) => ({ method: n % 3 === 0 ? "HEAD" : "GET" })
        })
      )
      assert.deepStrictEqual([report.statuses, report.failures], [{ 200: 20 }, noFailures])
    })
  )

  it.live("connects again when the server closes", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.setHeader("Connection", "close").end("hi"))
      const old = yield* tcp((socket) => socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nhi")))
      for (const target of [server, old]) {
        const report = yield* soon(OpenLoop.run(target, { rate: 100, duration: 200, connections: 2 }))
        assert.deepStrictEqual([report.statuses, report.failures], [{ 200: 20 }, noFailures])
      }
    })
  )

  it.live("closes a connection that is said to be closed, whoever does it", () =>
    Effect.gen(function* () {
      const answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
      const server = yield* tcp((socket) => socket.once("data", () => socket.write(answer)))
      const report = yield* soon(OpenLoop.run(server, { rate: 100, duration: 100, connections: 1 }))
      assert.deepStrictEqual([report.statuses, report.failures], [{ 200: 10 }, noFailures])
    })
  )

  it.live("speaks TLS", () =>
    Effect.gen(function* () {
      const server = yield* https((_, response) => response.end("hi"))
      const url = server.url.replace("http:", "https:")
      const checked = { port: server.port, tls: { rejectUnauthorized: true } }
      const [report, refused] = yield* soon(
        Effect.all([
          OpenLoop.run(url, { rate: 100, duration: 100 }),
          OpenLoop.run(checked, { rate: 100, duration: 100 })
        ])
      )
      assert.deepStrictEqual([report.statuses, report.failures], [{ 200: 10 }, noFailures])
      assert.deepStrictEqual(refused.failures, { ...noFailures, refused: 10 })
      assert.deepStrictEqual(refused.errors, { DEPTH_ZERO_SELF_SIGNED_CERT: 10 })
    })
  )

  it.live("draws the times of poisson from its seed", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end())
      const run = (seed: number) => {
        const options = { rate: 500, duration: 300, arrivals: "poisson", seed } as const
        return soon(Effect.map(OpenLoop.run(server, options), ({ offered }) => offered))
      }
      const [first, again, ...others] = yield* Effect.all([1, 1, 2, 3, 4].map(run), { concurrency: 2 })
      assert.strictEqual(first, again)
      assert.isAbove(new Set(others).add(first!).size, 1)
      for (const offered of [first!, ...others]) assert.isTrue(offered > 75 && offered < 225, `${offered} of about 150`)
    })
  )

  it.live("reports how late it was itself", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end())
      const run = OpenLoop.run(server, { rate: 100, duration: 500 })
      const block = Effect.andThen(Effect.sleep(100), blockFor(300))
      const [report] = yield* soon(Effect.all([run, block], { concurrency: 2 }))
      assert.strictEqual(report.answered, 50)
      assert.isAtLeast(report.lagMillis.max, 250)
      assert.isAtLeast(report.lagMillis.stall, 290)
      assert.isAtLeast(report.latencyMillis!.max, report.lagMillis.max)
    })
  )

  it.live("closes its connections when it is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end(), keepAlive)
      const fiber = yield* Effect.forkChild(OpenLoop.run(server, { rate: 500, duration: Infinity, connections: 5 }))
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 5 }))
      yield* Fiber.interrupt(fiber)
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 0 }))
    })
  )

  it.live("dies of bad options and of a function that throws", () =>
    Effect.gen(function* () {
      const bad = [{ rate: 0 }, { rate: 1, connections: 0 }, { rate: 1, seed: -1 }, { rate: 1, patience: 0 }]
      for (const options of bad) {
        assert.include(String(yield* Effect.exit(OpenLoop.run({ port: 1 }, options))), "RangeError: OpenLoop.run: ")
      }
      const request = () => {
        throw new Error("no request")
      }
      assert.include(String(yield* Effect.exit(OpenLoop.run({ port: 1 }, { rate: 1, request }))), "no request")
      assert.include(String(yield* Effect.exit(OpenLoop.run("ftp://a/", { rate: 1 }))), "RangeError: Target.resolve: ")
    })
  )
})

describe("OpenLoop.during", () => {
  it.live("measures how a client fares while an attack runs", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end("hi"))
      const flood = ConnectionFlood.run(server, { connections: 20, duration: 300 })
      const { load, result } = yield* soon(OpenLoop.during(flood, server, { rate: 100, connection: "new" }))
      assertConsistent(load)
      assert.strictEqual(result.endings.open, 20)
      assert.deepStrictEqual(load.statuses, { 200: load.offered })
      assert.isAtLeast(load.seconds, 0.29)
      assert.isAtLeast(load.offered, 29)
      assert.match(
        OpenLoop.format(load),
        /^\d+ requests in .* useful answers\/s\n {2}statuses: \d+ 200; failures: none; late: \d+\n/
      )
    })
  )

  it.live("ends with its effect when that fails", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end("hi"), keepAlive)
      const until = (done: () => boolean) => soon(Effect.repeat(Effect.sleep(5), { until: done }))
      let requests = 0
      const request = () => ({ path: `/${requests++}` })
      const failing = Effect.andThen(
        until(() => server.sockets.size > 0),
        Effect.fail("no attack")
      )
      const exit = yield* Effect.exit(OpenLoop.during(failing, server, { rate: 1000, request }))
      assert.deepStrictEqual(exit, Exit.fail("no attack"))
      const before = requests
      yield* until(() => server.sockets.size === 0)
      yield* Effect.sleep(20)
      assert.strictEqual(requests, before)
    })
  )
})
