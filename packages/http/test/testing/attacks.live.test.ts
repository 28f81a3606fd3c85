import { Attack, ConnectionFlood, SilentClient, SlowBody, SlowHeaders, SlowReader } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { getRequest, soon } from "../fixture.ts"
import { http, https, nobody, tcp } from "./servers.ts"

const none = { refused: 0, closed: 0, reset: 0, open: 0 }
const quick = { connections: 3, duration: "5 seconds" } as const

const assertBetween = (value: number, minimum: number, maximum: number) => {
  assert.isAtLeast(value, minimum)
  assert.isAtMost(value, maximum)
}

/** Node closes with bytes unread, so that the connections may end in a reset that overtakes the answer. */
const assertCutOff = ({ connections, endings: { closed, open, refused, reset }, statuses }: Attack.Report) => {
  assert.deepStrictEqual([open, refused, closed + reset], [0, 0, connections])
  assert.isAtMost(statuses["408"] ?? 0, connections)
  assert.isAtLeast(statuses["408"] ?? 0, closed)
}

/** The whole report in its parts that do not depend on time. */
const timeless = ({ connections, endings, errors, outcomes, statuses }: Attack.Report) => ({
  connections,
  endings,
  statuses,
  errors,
  outcomes: outcomes.map(({ count, ending, receivedBytes, statuses }) => [ending, statuses, count, receivedBytes.max])
})

describe("SilentClient.run", () => {
  it.live("reports connections that the server closes, and after how long", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => setTimeout(() => socket.end("bye"), 200))
      const report = yield* soon(SilentClient.run(server, quick))
      assert.deepStrictEqual(timeless(report), {
        connections: 3,
        endings: { ...none, closed: 3 },
        statuses: {},
        errors: {},
        outcomes: [["closed", [], 3, 3]]
      })
      assertBetween(report.endedAfterMillis!.min, 190, 4000)
      assert.strictEqual(report.outcomes[0]!.received, "bye")
      assert.deepStrictEqual(report.outcomes[0]!.sentBytes, { min: 0, median: 0, max: 0 })
    })
  )

  it.live("reports connections that the server resets", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => setTimeout(() => socket.resetAndDestroy(), 50))
      const report = yield* soon(SilentClient.run(server.url, quick))
      assert.deepStrictEqual(report.endings, { ...none, reset: 3 })
    })
  )

  it.live("reports connections that live longer than it watches, and closes them", () =>
    Effect.gen(function* () {
      const closed: Array<Promise<unknown>> = []
      const server = yield* tcp((socket) => {
        closed.push(new Promise((resolve) => socket.on("end", resolve).resume()))
      })
      const report = yield* soon(SilentClient.run(server, { connections: 3, duration: 100 }))
      assert.deepStrictEqual(report.endings, { ...none, open: 3 })
      assert.isUndefined(report.endedAfterMillis)
      assertBetween(report.outcomes[0]!.afterMillis.min, 90, 4000)
      yield* soon(Effect.promise(() => Promise.all(closed)))
    })
  )

  it.live("reports connections that are refused", () =>
    Effect.gen(function* () {
      const report = yield* soon(SilentClient.run(yield* nobody, quick))
      assert.deepStrictEqual(timeless(report), {
        connections: 3,
        endings: { ...none, refused: 3 },
        statuses: {},
        errors: { ECONNREFUSED: 3 },
        outcomes: [["refused", [], 3, 0]]
      })
      assert.isUndefined(report.connectMillis)
    })
  )

  it.live("sends its bytes first, and reads the answers", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end("hi"))
      const bytes = `${getRequest("/")}${getRequest("/", "Connection: close\r\n")}`
      const report = yield* soon(SilentClient.run(server, { ...quick, connections: 2, bytes }))
      assert.deepStrictEqual([report.endings, report.statuses], [{ ...none, closed: 2 }, { 200: 4 }])
      assert.deepStrictEqual(report.outcomes[0]!.statuses, [200, 200])
    })
  )

  it.live("closes its connections when it is interrupted", () =>
    Effect.gen(function* () {
      let [opened, closed] = [0, 0]
      const both = Promise.withResolvers<void>()
      const none = Promise.withResolvers<void>()
      const server = yield* tcp((socket) => {
        if (++opened === 2) both.resolve()
        socket.on("end", () => ++closed === 2 && none.resolve()).resume()
      })
      const fiber = yield* Effect.forkChild(SilentClient.run(server, { connections: 2, duration: Infinity }))
      yield* soon(Effect.promise(() => both.promise))
      yield* Fiber.interrupt(fiber)
      yield* soon(Effect.promise(() => none.promise))
    })
  )

  it.live("opens so many connections at once, and gives each its time", () =>
    Effect.gen(function* () {
      let [opened, open, most] = [0, 0, 0]
      const server = yield* tcp((socket) => {
        opened++
        most = Math.max(most, ++open)
        socket.on("end", () => open--).resume()
      })
      // A TLS handshake that the server never answers.
      const options = { connections: 10, connectConcurrency: 2, connectTimeout: 100 }
      const report = yield* soon(SilentClient.run({ port: server.port, tls: true }, options))
      assert.deepStrictEqual([report.endings, report.errors], [{ ...none, refused: 10 }, { ETIMEDOUT: 10 }])
      assert.strictEqual(opened, 10)
      // The server may see the next connection before the end of the last one.
      assert.isAtMost(most, 4)
    })
  )

  it.live("dies of bad options", () =>
    Effect.gen(function* () {
      for (const options of [{ connections: 0 }, { connections: 1.5 }, { duration: 0 }, { connectConcurrency: 0 }]) {
        const exit = yield* Effect.exit(SilentClient.run({ port: 1 }, options))
        assert.include(String(exit), "RangeError: SilentClient.run: ")
      }
    })
  )
})

describe("SlowHeaders.run", () => {
  it.live("dribbles a head until the server answers 408", () =>
    Effect.gen(function* () {
      const server = yield* http(
        () => assert.fail("a request arrived"),
        (server) => {
          server.headersTimeout = 300
        }
      )
      const report = yield* soon(SlowHeaders.run(server, { ...quick, pieceBytes: 3, interval: 20 }))
      assertCutOff(report)
      assertBetween(report.endedAfterMillis!.min, 250, 4500)
    })
  )

  it.live("sends a head that is right as far as it goes, from its first byte if told to", () =>
    Effect.gen(function* () {
      let received = ""
      const server = yield* tcp((socket) =>
        socket.on("data", (chunk) => {
          received += chunk
          if (received.length >= 80) socket.end()
        })
      )
      yield* soon(SlowHeaders.run(`${server.url}/a?b`, { connections: 1, atOnce: 0, pieceBytes: 5, interval: 1 }))
      const head = `GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nX-Slow-1: 1\r\nX-Slow-2: 2\r\nX-Slow-3: 3\r\n`
      assert.strictEqual(received, `${head}X-Slow-4: 4\r\n`.slice(0, received.length))
      assert.isAtLeast(received.length, 80)
    })
  )
})

describe("SlowBody.run", () => {
  it.live("dribbles a body until the server answers 408", () =>
    Effect.gen(function* () {
      const server = yield* http(
        (request) => request.resume(),
        (server) => {
          server.headersTimeout = 100
          server.requestTimeout = 300
        }
      )
      const report = yield* soon(SlowBody.run(server, { ...quick, interval: 20 }))
      assertCutOff(report)
      assertBetween(report.endedAfterMillis!.min, 250, 4500)
      assertBetween(report.outcomes[0]!.sentBytes.max, 100, 1000)
    })
  )

  for (const chunked of [false, true]) {
    it.live(`sends the body whole in the end, ${chunked ? "in chunks" : "with its length"}`, () =>
      Effect.gen(function* () {
        const bodies: Array<unknown> = []
        const server = yield* http((request, response) => {
          let body = ""
          request.on("data", (chunk) => (body += chunk))
          request.on("end", () => {
            bodies.push([request.method, request.url, request.headers["content-length"], body])
            response.writeHead(201, { Connection: "close" }).end()
          })
        })
        const request = { path: "/orders", body: '{"pens":2}' }
        const report = yield* soon(
          SlowBody.run(server, { connections: 1, request, chunked, pieceBytes: 3, interval: 1 })
        )
        assert.deepStrictEqual(bodies, [["POST", "/orders", chunked ? undefined : "10", '{"pens":2}']])
        assert.deepStrictEqual([report.endings, report.statuses], [{ ...none, closed: 1 }, { 201: 1 }])
      })
    )
  }
})

describe("SlowReader.run", () => {
  const megabytes = (count: number) => Buffer.alloc(count * 1_048_576, "x")

  it.live("reads nothing, and notices all the same that it was reset", () =>
    Effect.gen(function* () {
      const server = yield* http((request, response) => {
        response.end(megabytes(32))
        setTimeout(() => request.socket.resetAndDestroy(), 300)
      })
      const report = yield* soon(SlowReader.run(server, quick))
      assert.deepStrictEqual(timeless(report), {
        connections: 3,
        endings: { ...none, reset: 3 },
        statuses: {},
        errors: {},
        outcomes: [["reset", [], 3, 0]]
      })
      assertBetween(report.endedAfterMillis!.min, 250, 4500)
    })
  )

  it.live("leaves the rest with the server", () =>
    Effect.gen(function* () {
      let unsent = 0
      const server = yield* http((request, response) => {
        response.end(megabytes(64))
        setTimeout(() => {
          unsent = request.socket.writableLength
          request.socket.resetAndDestroy()
        }, 300)
      })
      yield* soon(SlowReader.run(server, { connections: 1 }))
      assert.isAtLeast(unsent, 16 * 1_048_576)
    })
  )

  it.live("reads no faster than it was told to", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end(megabytes(16)))
      const options = { connections: 2, duration: 1000, bytesPerSecond: 20_000 }
      const report = yield* soon(SlowReader.run(server, options))
      assert.deepStrictEqual(report.endings, { ...none, open: 2 })
      const { afterMillis, receivedBytes } = report.outcomes[0]!
      assert.isAtMost(receivedBytes.max, 20 * afterMillis.max + 4000)
    })
  )

  it.live("reads no faster over TLS, by the record", () =>
    Effect.gen(function* () {
      const server = yield* https((_, response) => response.end(megabytes(16)))
      const target = { port: server.port, tls: true }
      const run = (bytesPerSecond: number) =>
        soon(SlowReader.run(target, { connections: 2, duration: 1000, bytesPerSecond }))
      const [never, slow] = yield* Effect.all([run(0), run(20_000)], { concurrency: 2 })
      assert.deepStrictEqual(
        [never.endings, slow.endings],
        [
          { ...none, open: 2 },
          { ...none, open: 2 }
        ]
      )
      assert.strictEqual(never.outcomes[0]!.receivedBytes.max, 0)
      const { afterMillis, receivedBytes } = slow.outcomes[0]!
      assert.isAtMost(receivedBytes.max, 20 * afterMillis.max + 70_000)
    })
  )

  it.live("reads a response to its end", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) =>
        response.writeHead(200, { Connection: "close" }).end("x".repeat(5000))
      )
      const report = yield* soon(SlowReader.run(server, { connections: 2, bytesPerSecond: 20_000 }))
      assert.deepStrictEqual([report.endings, report.statuses], [{ ...none, closed: 2 }, { 200: 2 }])
      assert.isAtLeast(report.endedAfterMillis!.min, 150)
    })
  )
})

describe("ConnectionFlood.run", () => {
  it.live("holds as many connections as it was told to, until it is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => socket.on("end", () => socket.end()).resume())
      const count = (expected: number) =>
        soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === expected }))
      const flood = ConnectionFlood.run(server, { connections: 300, connectConcurrency: 50, duration: Infinity })
      const fiber = yield* Effect.forkChild(flood)
      yield* count(300)
      yield* Fiber.interrupt(fiber)
      yield* count(0)
    })
  )

  it.live("tells those that were answered from those that were turned away", () =>
    Effect.gen(function* () {
      const server = yield* http(
        (_, response) => response.end("hi"),
        (server) => {
          server.maxConnections = 20
        }
      )
      const bytes = getRequest("/")
      const report = yield* soon(ConnectionFlood.run(server, { connections: 50, duration: 1500, bytes }))
      const { closed, open, reset } = report.endings
      assert.deepStrictEqual([report.connections, report.statuses, open, closed + reset], [50, { 200: 20 }, 20, 30])
      assert.match(Attack.format(report), /^50 connections\n( {2}(30|20|\d+) (open|closed|reset) after .*\n?)+$/)
    })
  )
})
