import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch } from "effect"
import { HttpServer, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { Agent, buildConnector, request } from "undici"
import { soon, until } from "./fixture.ts"
import { codeOf, get, open, type } from "./http2Frames.ts"
import { ca, connect, startSecurely } from "./tlsFixture.ts"

const ok = HttpServerResponse.text("ok")

describe("Http2, draining", () => {
  it.live("says GOAWAY with the last stream that it answers, answers it, ignores those behind it, and closes", () =>
    Effect.gen(function* () {
      const release = Latch.makeUnsafe(false)
      const server = yield* startSecurely(HttpServer.serve(Effect.as(release.await, ok)), {
        drainTimeout: "10 seconds"
      })
      const session = yield* open(server)
      session.write(get(1), get(3))
      yield* until(server, ({ running }) => running === 2)
      const stopping = yield* Effect.forkChild(server.stop)
      const goaway = yield* session.receive((frame) => frame.type === type.goaway)
      assert.deepStrictEqual([goaway.payload.readUInt32BE(0), codeOf(goaway)], [3, 0])
      session.write(get(5))
      yield* release.open
      yield* session.receive((frame) => frame.type === type.data && frame.stream === 1)
      yield* session.receive((frame) => frame.type === type.data && frame.stream === 3)
      assert.strictEqual(yield* session.closed, "closed")
      assert.isFalse(session.frames.some(({ stream }) => stream === 5))
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("closes idle connections at once, and does not wait for drainTimeout", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(HttpServer.serve(Effect.succeed(ok)), { drainTimeout: "1 minute" })
      const fresh = yield* open(server)
      const idle = yield* connect(server)
      yield* soon(idle.request({ ":path": "/" }))
      yield* soon(server.stop)
      assert.deepStrictEqual(yield* soon(Deferred.await(idle.goaway)), { code: 0, lastStream: 1 })
      assert.strictEqual(yield* fresh.closed, "closed")
    })
  )

  it.live("sends a response of 64 MB that was ended just before whole", () =>
    Effect.gen(function* () {
      const body = new Uint8Array(64_000_000).map((_, i) => i * 31)
      const server = yield* startSecurely(HttpServer.serve(Effect.succeed(HttpServerResponse.uint8Array(body))), {
        drainTimeout: "20 seconds"
      })
      const session = yield* connect(server)
      const stream = session.raw.request({ ":path": "/" })
      yield* soon(Effect.callback<void>((resume) => void stream.once("response", () => resume(Effect.void))))
      const stopping = yield* Effect.forkChild(server.stop)
      yield* soon(Deferred.await(session.goaway))
      const hash = createHash("sha256")
      let bytes = 0
      yield* soon(
        Effect.callback<void>((resume) => {
          stream.on("data", (chunk: Buffer) => {
            bytes += chunk.length
            hash.update(chunk)
          })
          stream.once("end", () => resume(Effect.void))
        })
      )
      assert.deepStrictEqual(
        [bytes, hash.digest("hex")],
        [body.length, createHash("sha256").update(body).digest("hex")]
      )
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("interrupts what is still at work after drainTimeout, and answers it", () =>
    Effect.gen(function* () {
      const server = yield* startSecurely(HttpServer.serve(Effect.never), { drainTimeout: 100 })
      const session = yield* connect(server)
      const answer = yield* Effect.forkChild(session.request({ ":path": "/" }))
      yield* until(server, ({ running }) => running === 1)
      yield* soon(server.stop)
      assert.strictEqual((yield* soon(Fiber.join(answer))).status, 503)
    })
  )

  it.live("loses no request while the connections of a client under load move to another server", () =>
    Effect.gen(function* () {
      const app = HttpServer.serve(Effect.as(Effect.sleep(3), ok))
      // On a machine that is busy with other things the door would shed.
      const options = { drainTimeout: "10 seconds", queueTarget: Infinity } as const
      let current = yield* startSecurely(app, options)
      const connector = buildConnector({ ca, allowH2: true })
      const agent = new Agent({
        allowH2: true,
        connections: 4,
        connect: (options, callback) => connector({ ...options, port: String(current.port) }, callback)
      })
      yield* Effect.addFinalizer(() => Effect.promise(() => agent.destroy()))
      const origin = current.origin
      let stopping = false
      let answered = 0
      const failures: Array<unknown> = []
      const one = Effect.promise(async () => {
        try {
          const response = await request(`${origin}/`, { dispatcher: agent })
          if ((await response.body.text()) !== "ok" || response.statusCode !== 200) failures.push(response.statusCode)
          else answered++
        } catch (error) {
          failures.push(error)
        }
      })
      const load = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 40 }, () => Effect.repeat(one, { until: () => stopping })),
          {
            concurrency: "unbounded",
            discard: true
          }
        )
      )
      for (let i = 0; i < 5; i++) {
        const before = current
        const enough = answered + 400
        yield* soon(Effect.repeat(Effect.sleep(5), { until: () => answered >= enough }))
        current = yield* startSecurely(app, options)
        yield* soon(before.stop)
      }
      stopping = true
      yield* soon(Fiber.join(load))
      assert.deepStrictEqual(failures, [])
    })
  )
})
