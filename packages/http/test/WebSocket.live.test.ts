import { assert, describe, it } from "@effect/vitest"
import { HttpMetrics } from "@spillway/http"
import { Deferred, Duration, Effect, Exit, Fiber, Latch, Logger, Metric, Ref } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { RawClient } from "@spillway/http/testing"
import { get, getRequest, handshake, soon, start, until } from "./fixture.ts"
import {
  clients,
  closeCode,
  closeFrame,
  echo,
  forMessages,
  frame,
  handshakeWith,
  isClose,
  opcodes,
  open,
  openRaw,
  upgrading
} from "./webSocketFixture.ts"

/** How many WebSockets ended for a reason since the process began. */
const closedFor = (reason: string) =>
  Effect.map(Metric.value(Metric.withAttributes(HttpMetrics.webSocketsClosed, { reason })), ({ count }) => count)

/** Waits for a count: metrics tell nobody that they change. */
const untilClosedFor = (reason: string, count: number) =>
  soon(
    Effect.repeat(
      Effect.tap(closedFor(reason), () => Effect.sleep(2)),
      { until: (found) => found >= count }
    )
  )

const never = upgrading((socket) => Effect.andThen(socket.reader, Effect.never))

/** A handler that writes messages of 64 KiB as fast as it may, and counts them. */
const flood = (written: Ref.Ref<number>, ended: Deferred.Deferred<unknown, unknown>, messages = 4096) =>
  upgrading((socket) =>
    Effect.gen(function* () {
      yield* socket.reader
      const { write } = yield* socket.writer
      const message = Buffer.alloc(65_536, "x")
      for (let i = 0; i < messages; i++) {
        yield* write(message)
        yield* Ref.update(written, (count) => count + 1)
        // Any other handler would turn to something else now and then.
        if (i % 16 === 0) yield* Effect.yieldNow
      }
      return yield* Effect.never
    }).pipe(Effect.onExit((exit) => Deferred.done(ended, exit)))
  )

describe("WebSocket", () => {
  for (const [name, client] of Object.entries(clients)) {
    it.live(`echoes the messages of ${name} and closes with its code`, () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        const socket = yield* open(server.port, client)
        socket.send("häh")
        socket.send(new Uint8Array([1, 2, 255]))
        assert.deepStrictEqual(yield* socket.received(2), ["häh", "\x01\x02\xff"])
        socket.close()
        assert.strictEqual((yield* socket.closed).code, 1000)
        yield* until(server, ({ connections }) => connections.upgraded === 0)
      })
    )
  }

  it.live("joins the fragments of a message, whatever comes between them", () =>
    Effect.gen(function* () {
      const server = yield* start(HttpServer.serve(echo))
      const client = yield* openRaw(server.port)
      client.write(frame(opcodes.text, "one ", { fin: false }))
      client.write(frame(opcodes.ping, "?"))
      client.write(frame(opcodes.continuation, "message"))
      const echoed = yield* soon(client.until(({ opcode }) => opcode === opcodes.text))
      assert.strictEqual(echoed?.payload.toString(), "one message")
      assert.isTrue(client.frames.some(({ opcode, payload }) => opcode === opcodes.pong && payload.toString() === "?"))
    })
  )

  describe("limits", () => {
    const long = "x".repeat(1001)
    const tooLong: ReadonlyArray<readonly [string, ReadonlyArray<Buffer>]> = [
      ["in one frame, of which only the head has come", [frame(opcodes.text, "", { length: 1001 })]],
      [
        "in fragments",
        [frame(opcodes.text, long.slice(0, 900), { fin: false }), frame(opcodes.continuation, long.slice(0, 101))]
      ]
    ]
    for (const [name, frames] of tooLong) {
      it.live(`closes with 1009 when a message is too long ${name}`, () =>
        Effect.gen(function* () {
          const before = yield* closedFor("TooLarge")
          const server = yield* start(HttpServer.serve(echo), { maxWebSocketMessageSize: "1000 B" })
          const client = yield* openRaw(server.port)
          client.write(frame(opcodes.text, long.slice(0, 1000)))
          yield* soon(client.until(({ payload }) => payload.length === 1000))
          for (const bytes of frames) client.write(bytes)
          assert.strictEqual(closeCode((yield* soon(client.until(isClose)))!), 1009)
          yield* soon(client.ended)
          yield* untilClosedFor("TooLarge", before + 1)
        })
      )
    }

    it.live("closes with 1008 when a message comes in too many fragments", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("TooLarge")
        const server = yield* start(HttpServer.serve(echo), { maxWebSocketMessageSize: "64 KiB" })
        const client = yield* openRaw(server.port)
        const piece = frame(opcodes.continuation, "x", { fin: false })
        client.write(frame(opcodes.text, "x", { fin: false }))
        client.write(Buffer.concat(Array.from({ length: 1279 }, () => piece)))
        client.write(frame(opcodes.ping))
        assert.isDefined(yield* soon(client.until(({ opcode }) => opcode === opcodes.pong)))
        client.write(piece)
        assert.strictEqual(closeCode((yield* soon(client.until(isClose)))!), 1008)
        yield* untilClosedFor("TooLarge", before + 1)
      })
    )

    it.live("counts WebSockets among the connections, up to maxConnections", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo), { maxConnections: 2, exempt: () => false })
        const first = yield* open(server.port)
        yield* open(server.port)
        assert.strictEqual((yield* server.stats).connections.upgraded, 2)
        const third = yield* RawClient.connect(server)
        yield* third.write(handshake("/"))
        yield* soon(third.ended)
        assert.notInclude(yield* third.received, "101 Switching Protocols")
        first.close()
        yield* until(server, ({ connections }) => Object.values(connections).reduce((sum, count) => sum + count) === 1)
        yield* open(server.port)
      })
    )

    it.live("stops reading while the handler does not read", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(never))
        const client = yield* openRaw(server.port)
        const message = frame(opcodes.binary, Buffer.alloc(65_536))
        // The kernel's buffers hold some megabytes: what is written beyond them waits in this client.
        for (let i = 0; i < 1024; i++) client.write(message)
        yield* Effect.sleep(500)
        const waiting = client.socket.writableLength
        assert.isAbove(waiting, 32 * 1024 * 1024)
      })
    )
  })

  describe("peers that do not keep up", () => {
    it.live("lets a writer wait for a peer that reads slowly, and loses nothing", () =>
      Effect.gen(function* () {
        const written = yield* Ref.make(0)
        const ended = yield* Deferred.make<unknown, unknown>()
        const server = yield* start(HttpServer.serve(flood(written, ended, 256)), { maxWebSocketQueue: "128 KiB" })
        const client = yield* openRaw(server.port, { paused: true })
        const before = yield* Effect.repeat(Effect.andThen(Effect.sleep(50), Ref.get(written)), { times: 5 }).pipe(
          Effect.andThen(Ref.get(written))
        )
        assert.isBelow(before, 256)
        client.socket.resume()
        yield* soon(client.until(() => client.frames.length === 256))
        assert.isTrue(client.frames.every(({ payload }) => payload.length === 65_536))
      })
    )

    it.live("sends in the order of the writers that wait, and nothing of an interrupted one", () =>
      Effect.gen(function* () {
        const done = yield* Deferred.make<void>()
        const interrupt = Latch.makeUnsafe(false)
        const handler = upgrading((socket) =>
          Effect.gen(function* () {
            yield* socket.reader
            const { write } = yield* socket.writer
            yield* write(Buffer.alloc(16 * 1024 * 1024))
            const writers = yield* Effect.forEach(["a", "b", "c", "d"], (text) =>
              Effect.forkChild(write(text), { startImmediately: true })
            )
            yield* Fiber.interrupt(writers[1]!)
            yield* interrupt.open
            yield* Effect.forEach([0, 2, 3], (i) => Fiber.join(writers[i]!))
            yield* Deferred.succeed(done, undefined)
          })
        )
        const server = yield* start(HttpServer.serve(handler), { maxWebSocketQueue: 0 })
        const client = yield* openRaw(server.port, { paused: true })
        yield* soon(interrupt.await)
        client.socket.resume()
        yield* soon(Deferred.await(done))
        yield* soon(client.until(isClose))
        const texts = client.frames
          .filter(({ opcode }) => opcode === opcodes.text)
          .map(({ payload }) => String(payload))
        assert.deepStrictEqual(texts, ["a", "c", "d"])
      })
    )

    it.live("closes a slow consumer, fails its writer, and resets it when it does not answer", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("SlowConsumer")
        const written = yield* Ref.make(0)
        const ended = yield* Deferred.make<unknown, unknown>()
        const server = yield* start(HttpServer.serve(flood(written, ended)), {
          webSocketSlowConsumer: "close",
          maxWebSocketQueue: "256 KiB",
          webSocketCloseTimeout: "1 second"
        })
        const heap = process.memoryUsage().arrayBuffers
        const client = yield* openRaw(server.port, { paused: true })
        const error = yield* soon(Effect.flip(Deferred.await(ended)))
        assert.instanceOf(error, Socket.SocketError)
        assert.strictEqual((error as Socket.SocketError).reason._tag, "SocketWriteError")
        assert.isBelow(process.memoryUsage().arrayBuffers - heap, 16 * 1024 * 1024)
        yield* until(server, ({ connections }) => connections.upgraded === 0)
        yield* untilClosedFor("SlowConsumer", before + 1)
        client.socket.resume()
        assert.strictEqual(yield* soon(client.ended), "reset")
      })
    )

    it.live("drops messages for a slow consumer, and counts them", () =>
      Effect.gen(function* () {
        const dropped = Metric.value(Metric.withAttributes(HttpMetrics.webSocketMessages, { fate: "dropped" }))
        const before = (yield* dropped).count
        const written = yield* Ref.make(0)
        const ended = yield* Deferred.make<unknown, unknown>()
        const server = yield* start(HttpServer.serve(flood(written, ended, 1024)), {
          webSocketSlowConsumer: "drop",
          maxWebSocketQueue: "256 KiB"
        })
        const client = yield* openRaw(server.port, { paused: true })
        yield* soon(
          Effect.repeat(Effect.andThen(Effect.sleep(2), Ref.get(written)), { until: (count) => count === 1024 })
        )
        const lost = (yield* dropped).count - before
        assert.isAbove(lost, 100)
        client.socket.resume()
        yield* soon(client.until(() => client.frames.length === 1024 - lost))
        client.write(closeFrame(1000))
        assert.strictEqual(closeCode((yield* soon(client.until(isClose)))!), 1000)
        assert.strictEqual(client.frames.length, 1024 - lost + 1)
      })
    )

    it.live("resets a client that reads less than minResponseRate, however lively it is", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("SlowConsumer")
        const written = yield* Ref.make(0)
        const ended = yield* Deferred.make<unknown, unknown>()
        const server = yield* start(HttpServer.serve(flood(written, ended)), { rateGrace: "1 second" })
        const client = yield* openRaw(server.port, { paused: true })
        const talking = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => client.write(frame(opcodes.text, "hi"))),
              Effect.sleep(100)
            )
          )
        )
        yield* untilClosedFor("SlowConsumer", before + 1)
        yield* Fiber.interrupt(talking)
        assert.isTrue(Exit.hasInterrupts(yield* soon(Effect.exit(Deferred.await(ended)))))
      })
    )

    it.live("cuts a client that floods with pings", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("SlowConsumer")
        const server = yield* start(HttpServer.serve(echo), { rateGrace: "1 minute" })
        const client = yield* openRaw(server.port, { paused: true })
        const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(opcodes.ping, Buffer.alloc(125))))
        const flooding = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(
              Effect.sync(() => client.write(pings)),
              Effect.sleep(1)
            )
          )
        )
        yield* untilClosedFor("SlowConsumer", before + 1)
        yield* Fiber.interrupt(flooding)
        yield* until(server, ({ connections }) => connections.upgraded === 0)
      })
    )
  })

  describe("liveness", () => {
    it.live("keeps a peer that answers pings and says nothing else", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo), { webSocketPingInterval: "1 second" })
        const client = yield* openRaw(server.port)
        const answering = (count: number) =>
          Effect.gen(function* () {
            yield* soon(
              client.until(() => client.frames.filter(({ opcode }) => opcode === opcodes.ping).length === count)
            )
            client.write(frame(opcodes.pong))
          })
        for (let count = 1; count <= 3; count++) yield* answering(count)
        assert.strictEqual((yield* server.stats).connections.upgraded, 1)
      })
    )

    it.live("takes any byte for a sign of life", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo), { webSocketPingInterval: "1 second" })
        const client = yield* openRaw(server.port)
        for (let count = 1; count <= 3; count++) {
          yield* soon(
            client.until(() => client.frames.filter(({ opcode }) => opcode === opcodes.ping).length === count)
          )
          client.write(frame(opcodes.text, "here"))
        }
        assert.strictEqual((yield* server.stats).connections.upgraded, 1)
      })
    )

    it.live("resets a peer that answers no ping, and interrupts its handler", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("PingTimeout")
        const interrupted = yield* Deferred.make<void>()
        const handler = upgrading((socket) =>
          Effect.andThen(socket.reader, Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
        const server = yield* start(HttpServer.serve(handler), { webSocketPingInterval: "1 second" })
        const client = yield* openRaw(server.port)
        assert.strictEqual(yield* soon(client.ended), "reset")
        yield* soon(Deferred.await(interrupted))
        assert.strictEqual(client.frames.filter(({ opcode }) => opcode === opcodes.ping).length, 1)
        yield* untilClosedFor("PingTimeout", before + 1)
      })
    )

    it.live("keeps a peer that is busy reading a long message", () =>
      Effect.gen(function* () {
        const size = 64 * 1024 * 1024
        const handler = upgrading((socket) =>
          Effect.gen(function* () {
            const { write } = yield* socket.writer
            const { pull } = yield* socket.reader
            yield* write(Buffer.alloc(size))
            yield* pull
          })
        )
        const server = yield* start(HttpServer.serve(handler), { webSocketPingInterval: "1 second" })
        const client = yield* openRaw(server.port, { paused: true })
        // 4 MiB each 100 ms or so: two intervals and more for the whole of it.
        let read = 0
        client.socket.on("data", (chunk: Buffer) => {
          if (Math.floor(read / 4_194_304) !== Math.floor((read += chunk.length) / 4_194_304)) {
            client.socket.pause()
            setTimeout(() => client.socket.resume(), 150)
          }
        })
        client.socket.resume()
        yield* soon(client.until(({ payload }) => payload.length === size))
        assert.strictEqual((yield* server.stats).connections.upgraded, 1)
      })
    )

    it.live("does not hold its own blocked event loop against a peer", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo), { webSocketPingInterval: "1 second" })
        const client = yield* openRaw(server.port)
        yield* soon(client.until(({ opcode }) => opcode === opcodes.ping))
        // The answer has left the client's process before the server can run again.
        yield* Effect.callback<void>(
          (resume) => void client.socket.write(frame(opcodes.pong), () => resume(Effect.void))
        )
        const end = process.hrtime.bigint() + 2_500_000_000n
        while (process.hrtime.bigint() < end);
        yield* soon(client.until(() => client.frames.filter(({ opcode }) => opcode === opcodes.ping).length === 2))
        assert.strictEqual((yield* server.stats).connections.upgraded, 1)
      })
    )
  })

  describe("the end", () => {
    it.live("interrupts the handler when the connection is reset", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("Lost")
        const interrupted = yield* Deferred.make<void>()
        const handler = upgrading((socket) =>
          Effect.andThen(socket.reader, Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
        const server = yield* start(HttpServer.serve(handler))
        const client = yield* openRaw(server.port)
        client.socket.resetAndDestroy()
        yield* soon(Deferred.await(interrupted))
        yield* untilClosedFor("Lost", before + 1)
      })
    )

    it.live("ends a connection whose client has closed its side without a close frame", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        const client = yield* openRaw(server.port)
        client.socket.end()
        yield* soon(client.ended)
        yield* until(server, ({ connections }) => connections.upgraded === 0)
      })
    )

    it.live("interrupts a handler that has not noticed the end of its peer after webSocketCloseTimeout", () =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const handler = upgrading((socket) =>
          Effect.andThen(socket.reader, Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
        const server = yield* start(HttpServer.serve(handler), { webSocketCloseTimeout: "1 second" })
        const client = yield* open(server.port)
        client.close()
        assert.strictEqual((yield* client.closed).code, 1000)
        yield* soon(Deferred.await(interrupted))
      })
    )

    it.live("logs no failure of a handler that ends with its peer", () =>
      Effect.gen(function* () {
        const logged: Array<unknown> = []
        const logger = Logger.layer([Logger.make(({ message }) => void logged.push(message))])
        const ended = yield* Deferred.make<unknown, unknown>()
        const handler = Effect.gen(function* () {
          const { url } = yield* HttpServerRequest.HttpServerRequest
          return url === "/" ? yield* echo : HttpServerResponse.empty()
        }).pipe(Effect.onExit((exit) => Deferred.done(ended, exit)))
        const server = yield* Effect.provide(start(HttpServer.serve(handler)), logger)
        const client = yield* open(server.port)
        client.close()
        const exit = yield* soon(Effect.exit(Deferred.await(ended)))
        assert.isTrue(Exit.isFailure(exit))
        // The log would have been written before another request is answered.
        yield* get(server.url("/after"))
        assert.deepStrictEqual(logged, [])
      })
    )

    it.live("fails a write after the end", () =>
      Effect.gen(function* () {
        const result = yield* Deferred.make<unknown, unknown>()
        const handler = upgrading((socket) =>
          Effect.gen(function* () {
            const { write } = yield* socket.writer
            yield* Effect.ignore(forMessages(socket, () => Effect.void))
            yield* write("too late")
          }).pipe(
            Effect.scoped,
            Effect.onExit((exit) => Deferred.done(result, exit))
          )
        )
        const server = yield* start(HttpServer.serve(handler))
        const client = yield* open(server.port)
        client.close()
        const error = yield* soon(Effect.flip(Deferred.await(result)))
        assert.strictEqual((error as Socket.SocketError).reason._tag, "SocketWriteError")
      })
    )

    it.live("resets a client that does not answer the close frame", () =>
      Effect.gen(function* () {
        const before = yield* closedFor("Handler")
        const server = yield* start(HttpServer.serve(upgrading((socket) => socket.reader)), {
          webSocketCloseTimeout: "1 second"
        })
        const client = yield* openRaw(server.port)
        assert.strictEqual(closeCode((yield* soon(client.until(isClose)))!), 1000)
        assert.strictEqual(yield* soon(client.ended), "reset")
        yield* untilClosedFor("Handler", before + 1)
      })
    )
  })

  describe("drain", () => {
    for (const [name, client] of Object.entries(clients)) {
      it.live(`closes with 1001, which ${name} sees`, () =>
        Effect.gen(function* () {
          const before = yield* closedFor("Drain")
          const server = yield* start(HttpServer.serve(echo), { drainTimeout: "1 minute" })
          const socket = yield* open(server.port, client)
          yield* soon(server.stop)
          assert.deepStrictEqual(yield* socket.closed, { code: 1001, reason: "the server is being restarted" })
          assert.strictEqual(yield* closedFor("Drain"), before + 1)
        })
      )
    }

    it.live("lets handlers finish, and does not interrupt them within drainTimeout", () =>
      Effect.gen(function* () {
        const state = yield* Ref.make("open")
        const release = Latch.makeUnsafe(false)
        const handler = upgrading((socket) =>
          forMessages(socket, () => Effect.void).pipe(
            Effect.ignore,
            Effect.andThen(Ref.set(state, "finishing")),
            Effect.andThen(release.await),
            Effect.andThen(Ref.set(state, "saved"))
          )
        )
        const server = yield* start(HttpServer.serve(handler), { drainTimeout: "1 minute" })
        const client = yield* open(server.port)
        const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
        assert.strictEqual((yield* client.closed).code, 1001)
        yield* until(server, ({ connections }) => connections.upgraded === 0)
        assert.strictEqual(yield* Ref.get(state), "finishing")
        yield* release.open
        yield* soon(Fiber.join(stopping))
        assert.strictEqual(yield* Ref.get(state), "saved")
      })
    )

    it.live("lets a handler that waits for the drain have the last word", () =>
      Effect.gen(function* () {
        const { Drain } = yield* Effect.promise(() => import("@spillway/runtime/Drain"))
        const handler = Effect.gen(function* () {
          const drain = yield* Drain
          return yield* upgrading((socket) =>
            Effect.gen(function* () {
              const { write } = yield* socket.writer
              const { pull } = yield* socket.reader
              const goodbye = Effect.andThen(drain.began, write("goodbye"))
              yield* Effect.raceFirst(Effect.forever(pull), goodbye)
              yield* Effect.forever(pull)
            })
          )
        })
        const server = yield* start(HttpServer.serve(handler), { drainTimeout: "1 minute" })
        const client = yield* open(server.port)
        yield* soon(server.stop)
        assert.strictEqual((yield* client.closed).code, 1001)
        assert.deepStrictEqual(client.messages, ["goodbye"])
      })
    )

    it.live("interrupts handlers that go on after drainTimeout", () =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const handler = upgrading((socket) =>
          Effect.andThen(socket.reader, Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
        const server = yield* start(HttpServer.serve(handler), { drainTimeout: 100 })
        const client = yield* open(server.port)
        yield* soon(server.stop)
        yield* soon(Deferred.await(interrupted))
        assert.strictEqual((yield* client.closed).code, 1001)
      })
    )

    it.live("ends with peers that answer nothing and handlers that can not be interrupted", () =>
      Effect.gen(function* () {
        const handler = upgrading((socket) =>
          Effect.andThen(socket.reader, Effect.uninterruptible(Effect.sleep("1 minute")))
        )
        const server = yield* start(HttpServer.serve(handler), { drainTimeout: 100 })
        const waiting = yield* openRaw(server.port)
        const silent = yield* openRaw(server.port, { paused: true })
        const [took] = yield* Effect.timed(soon(server.stop))
        // The bound is 1.2 s, and webSocketCloseTimeout 5 s.
        assert.isBelow(Duration.toMillis(took), 4000)
        assert.strictEqual(closeCode((yield* soon(waiting.until(isClose)))!), 1001)
        silent.socket.resume()
        yield* soon(silent.ended)
      })
    )

    it.live("closes one whose handshake was pending when the drain began", () =>
      Effect.gen(function* () {
        const release = Latch.makeUnsafe(false)
        const handler = Effect.andThen(release.await, echo)
        const server = yield* start(HttpServer.serve(handler), { drainTimeout: "1 minute" })
        const client = yield* Effect.forkChild(openRaw(server.port), { startImmediately: true })
        yield* until(server, (stats) => stats.running === 1)
        const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
        yield* Effect.sleep(100)
        yield* release.open
        const late = yield* soon(Fiber.join(client))
        assert.strictEqual(closeCode((yield* soon(late.until(isClose)))!), 1001)
        late.write(closeFrame(1001))
        yield* soon(Fiber.join(stopping))
      })
    )
  })

  describe("handshake", () => {
    const bodyOf = (received: string) => JSON.parse(received.slice(received.indexOf("\r\n\r\n") + 4))

    it.live("answers 426 to another version, and names its own", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        for (const version of ["8", "0", "13, 8", undefined]) {
          const { ending, received } = yield* handshakeWith(server.port, { "sec-websocket-version": version })
          assert.strictEqual(ending, "closed")
          assert.match(received, /^HTTP\/1\.1 426 Upgrade Required\r\n/)
          assert.match(received, /\r\nsec-websocket-version: 13\r\n/)
          assert.match(received, /\r\nupgrade: websocket\r\n/)
          assert.match(received, /\r\ncontent-type: application\/problem\+json\r\n/)
          assert.strictEqual(bodyOf(received).status, 426)
        }
      })
    )

    it.live("answers 400 to a bad key", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        for (const key of ["", "short==", undefined, "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="]) {
          const { ending, received } = yield* handshakeWith(server.port, { "sec-websocket-key": key })
          assert.strictEqual(ending, "closed")
          assert.match(received, /^HTTP\/1\.1 400 Bad Request\r\n/)
          assert.strictEqual(bodyOf(received).status, 400)
        }
      })
    )

    it.live("ignores an Upgrade without Connection, or to another protocol", () =>
      Effect.gen(function* () {
        const plain = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) =>
          HttpServerResponse.text(`plain ${url}`)
        )
        const server = yield* start(HttpServer.serve(plain))
        for (const fields of [{ connection: "close" }, { connection: "Upgrade, close", upgrade: "chat/1" }]) {
          const { received } = yield* handshakeWith(server.port, fields)
          assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
          assert.include(received, "plain /")
        }
      })
    )

    it.live("does not upgrade a request with a body", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        for (const fields of [{ "content-length": "5" }, { "transfer-encoding": "chunked" }]) {
          const { received } = yield* handshakeWith(server.port, { connection: "Upgrade, close", ...fields }, "hello")
          assert.match(received, /^HTTP\/1\.1 4/)
          assert.notInclude(received, "101 Switching")
        }
      })
    )

    it.live("answers the requests before a handshake that is pipelined behind them, and closes", () =>
      Effect.gen(function* () {
        const release = Latch.makeUnsafe(false)
        const handler = Effect.gen(function* () {
          const { url } = yield* HttpServerRequest.HttpServerRequest
          if (url === "/ws") return yield* echo
          yield* release.await
          return HttpServerResponse.text("slow")
        })
        const server = yield* start(HttpServer.serve(handler))
        const client = yield* RawClient.connect(server)
        yield* client.write(getRequest("/slow") + handshake("/ws"))
        yield* until(server, ({ running }) => running === 1)
        yield* release.open
        yield* soon(client.ended)
        const received = yield* client.received
        assert.match(received, /^HTTP\/1\.1 200 OK/)
        assert.include(received, "slow")
        assert.notInclude(received, "101 Switching")
      })
    )

    it.live("hands the first of the client's subprotocols back, and leaves the origin to the app", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(echo))
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`, ["chat", "other"])
        const protocol = yield* soon(
          Effect.callback<string>((resume) => {
            socket.addEventListener("open", () => resume(Effect.succeed(socket.protocol)))
          })
        )
        assert.strictEqual(protocol, "chat")
        socket.close()
      })
    )

    it.live("says when to come back to a handshake that it refuses", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueued: 0 })
        yield* Effect.forkChild(get(server.url("/")))
        yield* until(server, (stats) => stats.running === 1)
        const { ending, received } = yield* handshakeWith(server.port, {})
        assert.strictEqual(ending, "closed")
        assert.match(received, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
        assert.match(received, /\r\nretry-after: [1-9]\d*\r\n/)
        assert.strictEqual(bodyOf(received).status, 503)
      })
    )

    for (const [name, bytes] of [
      ["a handshake that is refused", handshake("/").replace("Version: 13", "Version: 12")],
      ["a CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"]
    ] as const) {
      it.live(`survives the reset of a client behind ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* start(HttpServer.serve(echo))
          const client = yield* RawClient.connect(server)
          yield* client.write(bytes)
          yield* soon(client.receivedUntil("HTTP/1.1"))
          yield* client.write("more")
          yield* client.reset
          yield* until(server, ({ connections }) => Object.values(connections).every((count) => count === 0))
        })
      )
    }

    it.live("survives the reset of a client whose handshake waits at the door", () =>
      Effect.gen(function* () {
        const server = yield* start(HttpServer.serve(Effect.never), { maxConcurrent: 1, maxQueueWait: "10 seconds" })
        yield* Effect.forkChild(get(server.url("/")))
        yield* until(server, (stats) => stats.running === 1)
        const client = yield* RawClient.connect(server)
        yield* client.write(handshake("/"))
        yield* until(server, (stats) => stats.queued === 1)
        yield* client.reset
        yield* until(server, (stats) => stats.queued === 0)
      })
    )
  })
})
