import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { getRequest, soon } from "../fixture.ts"
import { http, https, nobody, tcp } from "./servers.ts"

describe("RawClient", () => {
  it.live("waits for whole answers", () =>
    Effect.gen(function* () {
      const server = yield* http((request, response) => response.end(request.url))
      const client = yield* RawClient.connect(server)
      yield* client.write(getRequest("/1") + getRequest("/2").replace("GET", "HEAD"))
      const { answers, state } = yield* soon(client.answers(2, ["GET", "HEAD"]))
      assert.deepStrictEqual(answers.map(HttpAnswer.text), ["/1", ""])
      assert.strictEqual(state, "complete")
      yield* client.write(getRequest("/3", "Connection: close\r\n"))
      const all = yield* soon(client.answers(99, ["GET", "HEAD"]))
      assert.deepStrictEqual(all.answers.map(HttpAnswer.text), ["/1", "", "/3"])
    })
  )

  it.live("does not wait for answers after bytes that are none", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => socket.write("hello"))
      const client = yield* RawClient.connect(server)
      assert.strictEqual((yield* soon(client.answers(1))).state, "malformed")
    })
  )

  it.live("speaks TLS", () =>
    Effect.gen(function* () {
      const server = yield* https((_, response) => response.end("hi"))
      const client = yield* RawClient.connect({ port: server.port, tls: true })
      yield* client.write(getRequest("/"))
      assert.strictEqual(HttpAnswer.text((yield* soon(client.answers(1))).answers[0]!), "hi")
    })
  )

  it.live("fails with the code of the system when nobody listens", () =>
    Effect.gen(function* () {
      const error = yield* soon(Effect.flip(RawClient.connect(yield* nobody)))
      assert.deepStrictEqual([error._tag, error.code], ["ConnectFailed", "ECONNREFUSED"])
    })
  )

  it.live("ends its connection with the scope, also one that is not open yet", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => socket.on("end", () => socket.end()).resume())
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* RawClient.connect(server)
          yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 1 }))
        })
      )
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 0 }))
      // A TLS handshake that the server never answers.
      const handshake = RawClient.connect({ port: server.port, tls: true })
      yield* Effect.raceFirst(
        Effect.scoped(handshake),
        Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 1 })
      ).pipe(soon)
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 0 }))
    })
  )
})
