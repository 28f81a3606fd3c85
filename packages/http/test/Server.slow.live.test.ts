import { JsonBody } from "@spillway/http"
import { RawClient, SilentClient, SlowReader } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, Schema, Scope, Stream } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { getRequest, soon, start, until } from "./fixture.ts"

const ok = HttpServerResponse.text("ok")
const large = new Uint8Array(8 * 2 ** 20).map((_, i) => i * 31)
const text = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.text)

// What is told apart here is who is slow: the server is not to refuse anybody for that.
const fast = { minBodyRate: 1000, minResponseRate: 1000, rateGrace: "1 second", queueTarget: Infinity } as const

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
const chunk = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n`
const sized = (length: number): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

/** Sends a part every 200 ms, so many times. */
const dribble = (client: Pick<RawClient.Connection, "write">, part: string, times: number): Effect.Effect<void> =>
  Effect.asVoid(
    Effect.repeat(
      client.write(part),
      Schedule.addDelay(Schedule.recurs(times - 1), () => Effect.succeed(200))
    )
  )

describe("Server, slow senders", () => {
  const readers: ReadonlyArray<
    readonly [string, Effect.Effect<unknown, unknown, HttpServerRequest.HttpServerRequest>]
  > = [
    ["a reader of Effect's own", text],
    ["JsonBody", JsonBody.decode(Schema.Json)]
  ]
  for (const [name, reader] of readers) {
    const app = Effect.as(reader, ok)
    it.live(`answers 408 to a body slower than minBodyRate under ${name}, closes, and interrupts the handler`, () =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<void>()
        const server = yield* start(HttpServer.serve(Effect.ensuring(app, Deferred.succeed(ended, undefined))), fast)
        const client = yield* RawClient.connect(server)
        yield* client.write(chunkedHead.replace("Host: a", "Host: a\r\nContent-Type: application/json") + chunk("[1,"))
        assert.strictEqual(yield* soon(client.ended), "closed")
        const received = yield* client.received
        assert.deepStrictEqual(
          [received.slice(0, 12), /^connection: close\r$/im.test(received)],
          ["HTTP/1.1 408", true]
        )
        yield* soon(Deferred.await(ended))
        yield* until(server, ({ connections, running }) => running === 0 && connections.body === 0)
      })
    )
  }

  it.live("answers 408 without a handler to a small body that is slower", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.die("the handler has run")), fast)
      const client = yield* RawClient.connect(server)
      yield* client.write(`${sized(100)}abc`)
      assert.strictEqual(yield* soon(client.ended), "closed")
      assert.strictEqual((yield* client.received).slice(0, 12), "HTTP/1.1 408")
      yield* until(server, ({ connections }) => connections.body === 0)
    })
  )

  for (const [name, head, part, last] of [
    ["a small body", sized(15 * 300), "x".repeat(300), ""],
    ["a chunked body", chunkedHead, chunk("x".repeat(300)), "0\r\n\r\n"]
  ] as const) {
    it.live(`lets ${name} come at the rate for several times the grace`, () =>
      Effect.gen(function* () {
        const server = yield* start(
          HttpServer.serve(Effect.map(text, (body) => HttpServerResponse.text(`${body.length}`))),
          fast
        )
        const client = yield* RawClient.connect(server)
        yield* client.write(head)
        yield* dribble(client, part, 15)
        yield* client.write(last)
        assert.include(yield* soon(client.receivedUntil("4500")), "HTTP/1.1 200")
      })
    )
  }

  it.live("charges no time while the handler does not read", () =>
    Effect.gen(function* () {
      const app = Effect.sleep("3500 millis").pipe(
        Effect.andThen(text),
        Effect.map((body) => HttpServerResponse.text(body))
      )
      const server = yield* start(HttpServer.serve(app), fast)
      const client = yield* RawClient.connect(server)
      yield* client.write(chunkedHead + chunk("first "))
      yield* Effect.sleep("3500 millis")
      yield* client.write(`${chunk("last")}0\r\n\r\n`)
      assert.include(yield* soon(client.receivedUntil("first last")), "HTTP/1.1 200")
    })
  )

  it.live("asks for nothing with a rate of 0", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.as(text, ok)), { ...fast, minBodyRate: 0 })
      const client = yield* RawClient.connect(server)
      yield* client.write(chunkedHead)
      yield* Effect.sleep("3500 millis")
      yield* client.write("0\r\n\r\n")
      assert.include(yield* soon(client.receivedUntil("ok")), "HTTP/1.1 200")
    })
  )

  it.live("ends a connection whose body was not needed and does not come", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), { ...fast, maxAwaitedBody: 0 })
      const client = yield* RawClient.connect(server)
      yield* client.write(`${sized(100)}abc`)
      assert.include(yield* soon(client.receivedUntil("ok")), "HTTP/1.1 200")
      yield* soon(client.ended)
      // The one answer, and no 408 behind it.
      assert.strictEqual((yield* client.received).split("HTTP/1.1 ").length, 2)
    })
  )

  it.live("answers 408 to a head that dribbles, and gives each head its own time", () =>
    Effect.gen(function* () {
      const app = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => HttpServerResponse.text(url))
      const server = yield* start(HttpServer.serve(app), { headersTimeout: "2 seconds" })
      const slow = yield* RawClient.connect(server)
      const steady = yield* RawClient.connect(server)
      yield* slow.write("GET / HTTP/1.1\r\nX: ")
      const dribbling = yield* Effect.forkChild(dribble(slow, "x", 30))
      // Each head takes one second, and all of them together more than headersTimeout.
      for (const path of ["/1", "/2", "/3"]) {
        yield* steady.write(`GET ${path} HTTP/1.1\r\n`)
        yield* Effect.sleep("1 second")
        yield* steady.write("Host: a\r\n\r\n")
        yield* soon(steady.receivedUntil(path))
      }
      yield* soon(slow.ended)
      yield* Fiber.interrupt(dribbling)
      assert.strictEqual((yield* slow.received).slice(0, 12), "HTTP/1.1 408")
      assert.strictEqual((yield* steady.received).split("HTTP/1.1 200").length, 4)
    })
  )

  it.live("closes an idle connection after keepAliveTimeout, and says so in its answers", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), { keepAliveTimeout: "1 second" })
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      const received = yield* soon(client.receivedUntil("ok"))
      assert.match(received, /^keep-alive: timeout=1\r$/im)
      assert.strictEqual(yield* soon(client.ended), "closed")
      assert.strictEqual(yield* client.received, received)
    })
  )

  it.live(
    "answers 504, and not a closed connection, when the deadline passes while a reader of Effect's own waits",
    () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.as(text, ok)), { requestDeadline: 200 })
        const client = yield* RawClient.connect(server)
        yield* client.write(chunkedHead + chunk("abc"))
        assert.strictEqual(yield* soon(client.ended), "closed")
        assert.strictEqual((yield* client.received).slice(0, 12), "HTTP/1.1 504")
      })
  )
})

describe("Server, slow readers", () => {
  const responses = {
    "one array": HttpServerResponse.uint8Array(large),
    "a stream": HttpServerResponse.stream(
      Stream.range(0, 127).pipe(
        Stream.rechunk(1),
        Stream.map((i) => large.slice(i * 65_536, (i + 1) * 65_536))
      ),
      { contentLength: large.length }
    )
  }
  for (const [name, response] of Object.entries(responses)) {
    it.live(`resets who reads nothing of ${name}, while others download every byte`, () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.succeed(response)), fast)
        const silent = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          SlowReader.request(server, getRequest("/"))
        )
        yield* until(server, ({ connections }) => connections.writing === 20)
        const reader = yield* SlowReader.request(server, getRequest("/", "Connection: close\r\n"))
        const { bytes } = yield* soon(reader.readAll)
        assert.strictEqual(bytes, large.length)
        yield* until(server, ({ connections }) => connections.writing === 0)
        assert.strictEqual(silent.length, 20)
      })
    )
  }

  it.live("does not reset who reads more slowly than the kernel shows, but faster than minResponseRate", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.uint8Array(large))), fast)
      const reading = yield* SlowReader.run(server, {
        connections: 1,
        bytesPerSecond: 100_000,
        duration: "6 seconds"
      }).pipe(Effect.forkChild({ startImmediately: true }))
      yield* until(server, ({ connections }) => connections.writing === 1)
      yield* Effect.sleep("5 seconds")
      const { connections } = yield* server.stats
      assert.strictEqual(connections.writing, 1)
      yield* Fiber.join(reading)
    })
  )

  it.live("notices that the subscriber of a quiet stream has gone", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const quiet = Stream.concat(Stream.make(new TextEncoder().encode("first")), Stream.never).pipe(
        Stream.ensuring(Deferred.succeed(ended, undefined))
      )
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.stream(quiet))))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* soon(client.receivedUntil("first"))
      yield* client.end
      yield* soon(Deferred.await(ended))
    })
  )
})

describe("Server, clients that go away unseen", () => {
  for (const how of ["reset", "end"] as const) {
    it.live(`interrupts the handler of one whose body is not being read: ${how}`, () =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const handler = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        const server = yield* start(HttpServer.serve(handler), { rateGrace: "1 second" })
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(RawClient.connect(server), scope)
        yield* client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n${"x".repeat(300_000)}`)
        yield* until(server, ({ running }) => running === 1)
        // Until node has read what it buffers, and pauses.
        yield* Effect.sleep(100)
        yield* how === "reset" ? client.reset : Scope.close(scope, Exit.void)
        yield* soon(Deferred.await(interrupted))
        yield* until(server, ({ running }) => running === 0)
      })
    )
  }

  it.live("keeps the quiet response of a client that closed its side for as long as the grace", () =>
    Effect.gen(function* () {
      const ticks = Stream.concat(Stream.make("one "), Stream.fromEffect(Effect.as(Effect.sleep("2500 millis"), "two")))
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.stream(Stream.encodeText(ticks)))))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/"))
      yield* client.end
      yield* soon(client.ended)
      const received = yield* client.received
      assert.include(received, "two")
      assert.isTrue(received.endsWith("0\r\n\r\n"))
    })
  )

  it.live("lets one that sends on for a while read the whole of an early answer", () =>
    Effect.gen(function* () {
      const body = "x".repeat(1_500_000)
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.text(body, { status: 401 }))))
      const reader = yield* SlowReader.request(server, chunkedHead)
      yield* dribble(reader, chunk("y".repeat(1000)), 8)
      assert.strictEqual((yield* soon(reader.readAll)).bytes, body.length)
    })
  )

  it.live("holds pipelined probes as it holds other requests", () =>
    Effect.gen(function* () {
      let handled = 0
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/livez" ? Effect.sync(() => (handled++, ok)) : Effect.never
      )
      const server = yield* start(HttpServer.serve(app))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/slow") + getRequest("/livez").repeat(100))
      yield* until(server, ({ pipelined, running }) => running === 1 && pipelined === 32)
      assert.strictEqual(handled, 0)
    })
  )
})

describe("Server, connections under pressure", () => {
  const options = { maxConnections: 20 }

  it.live("closes idle ones for new ones, the longest idle first", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.succeed(ok)), options)
      const idle: Array<RawClient.Connection> = []
      for (let i = 0; i < 18; i++) {
        const [client] = yield* SilentClient.connect(server, 1, getRequest("/"))
        yield* soon(client!.receivedUntil("ok"))
        idle.push(client!)
        yield* Effect.sleep(2)
      }
      // Used again: it is the youngest now.
      yield* idle[0]!.write(getRequest("/"))
      yield* until(server, ({ connections }) => connections.idle === 18)
      const fresh = yield* SilentClient.connect(server, 5)
      yield* Effect.forEach(idle.slice(1, 6), (client) => soon(client.ended))
      yield* fresh[4]!.write(getRequest("/"))
      yield* soon(fresh[4]!.receivedUntil("ok"))
      const { connections } = yield* server.stats
      assert.deepStrictEqual([connections.idle, connections.new], [14, 4])
    })
  )

  it.live("then closes slow ones, and never one that keeps pace", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.as(text, ok)), { ...options, rateGrace: "10 seconds" })
      const pacing = yield* RawClient.connect(server)
      yield* pacing.write(chunkedHead)
      const dribbling = yield* Effect.forkChild(dribble(pacing, chunk("x".repeat(300)), 40))
      yield* SilentClient.connect(server, 17, "GET / HTTP/1.1\r\nHost")
      yield* until(server, ({ connections }) => connections.head === 17)
      yield* Effect.sleep("1500 millis")
      for (let i = 0; i < 10; i++) {
        const client = yield* RawClient.connect(server)
        yield* client.write(getRequest("/"))
        yield* soon(client.receivedUntil("ok"))
        // Held open and busy, so that it is not idle.
        yield* client.write(chunkedHead)
        yield* Effect.sleep(120)
      }
      const { connections } = yield* server.stats
      assert.isAtMost(connections.head, 9)
      yield* Fiber.interrupt(dribbling)
      yield* pacing.write("0\r\n\r\n")
      assert.include(yield* soon(pacing.receivedUntil("ok")), "HTTP/1.1 200")
    })
  )

  it.live("closes those that crawl at the least rate when there is nobody slower", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(Effect.as(text, ok)), options)
      const crawling = yield* Effect.forEach(Array.from({ length: 20 }), () => RawClient.connect(server))
      const dribbling = yield* Effect.forkChild(
        Effect.forEach(
          crawling,
          (client) => Effect.andThen(client.write(chunkedHead), dribble(client, chunk("x".repeat(60)), 40)),
          { concurrency: "unbounded", discard: true }
        ),
        { startImmediately: true }
      )
      yield* until(server, ({ connections }) => connections.body === 20)
      const answered = Effect.map(RawClient.exchange(server, getRequest("/"), { timeoutMillis: 500 }), ({ received }) =>
        received.includes("HTTP/1.1 200")
      )
      yield* soon(Effect.repeat(answered, { until: (done) => done }))
      yield* Fiber.interrupt(dribbling)
    })
  )

  it.live("closes what is over maxConnectionsPerAddress unread, except of trusted proxies", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.succeed(ok))
      const limit = { maxConnectionsPerAddress: 2 }
      const server = yield* start(app, limit)
      const [first] = yield* SilentClient.connect(server, 2)
      yield* until(server, ({ connections }) => connections.new === 2)
      const over = yield* RawClient.exchange(server, getRequest("/"), { timeoutMillis: 5000 })
      assert.deepStrictEqual([over.received, over.ending === "open"], ["", false])
      yield* first!.reset
      yield* until(server, ({ connections }) => connections.new === 1)
      const again = yield* RawClient.exchange(server, getRequest("/", "Connection: close\r\n"), { timeoutMillis: 5000 })
      assert.include(again.received, "HTTP/1.1 200")

      const trusting = yield* start(app, { ...limit, trustedProxies: ["127.0.0.0/8"] })
      yield* SilentClient.connect(trusting, 5)
      yield* until(trusting, ({ connections }) => connections.new === 5)
    })
  )
})

describe("Server, addresses", () => {
  const app = HttpServer.serve(
    Effect.map(HttpServerRequest.HttpServerRequest, ({ remoteAddress }) =>
      HttpServerResponse.jsonUnsafe({ address: remoteAddress._tag === "Some" ? remoteAddress.value : null })
    )
  )
  const forwarded = getRequest("/", "X-Forwarded-For: 203.0.113.7, 198.51.100.4, 127.0.0.9\r\n")

  it.live("believes X-Forwarded-For from trusted proxies alone, up to the last that is none", () =>
    Effect.gen(function* () {
      for (const [trustedProxies, address] of [
        [[], "127.0.0.1"],
        [["10.0.0.0/8"], "127.0.0.1"],
        [["127.0.0.0/8"], "198.51.100.4"],
        [["127.0.0.0/8", "198.51.100.4"], "203.0.113.7"]
      ] as const) {
        const server = yield* start(app, { trustedProxies })
        const client = yield* RawClient.connect(server)
        yield* client.write(forwarded)
        assert.include(yield* soon(client.receivedUntil("}")), JSON.stringify({ address }))
        const [connection] = yield* server.connections
        assert.strictEqual(connection!.remoteAddress, address)
      }
    })
  )

  it.live("knows of each connection its age, its bytes and its rates", () =>
    Effect.gen(function* () {
      const server = yield* start(app)
      const client = yield* RawClient.connect(server)
      const request = getRequest("/")
      yield* client.write(request)
      const received = yield* soon(client.receivedUntil("}"))
      const [connection] = yield* server.connections
      const { age: _age, receiveRate: _receiveRate, sendRate: _sendRate, ...rest } = connection!
      assert.deepStrictEqual(rest, {
        state: "idle",
        remoteAddress: "127.0.0.1",
        requests: 1,
        bytesReceived: request.length,
        bytesSent: received.length
      })
      yield* soon(
        Effect.repeat(server.connections, {
          until: ([{ receiveRate, sendRate } = { receiveRate: 0, sendRate: 0 }]) =>
            receiveRate > 0 && Math.abs(sendRate / receiveRate - received.length / request.length) < 0.01
        })
      )
    })
  )
})
