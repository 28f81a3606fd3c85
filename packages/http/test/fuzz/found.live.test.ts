/** Inputs that the fuzz test has found, made shorter: once each of them was not answered as it must be. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { makePlayer, playInput, startSubject } from "./campaign.ts"
import type { Subject } from "./campaign.ts"

const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

const ignored = "HEAD /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: webocket\r\n\r\n"

const cases: ReadonlyArray<readonly [name: string, bytes: string, cuts?: ReadonlyArray<number>]> = [
  ["two answers to a request without Host", "OPTIONS * HTTP/1.1\r\n\r\nABC"],
  ["a second answer to one without Host, for its body", "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"],
  ["a second answer behind an early one", "POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecr"],
  ["a second answer behind that of a probe", "GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n"],
  [
    "a second answer behind 417",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
  ],
  [
    "no answer to a request in front of a bad chunk",
    "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nonePOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
  ],
  [
    "no answer to a request in front of a bad coding",
    "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nonePOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: clunked\r\n\r\nx\r\n"
  ],
  ["no answer to CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
  ["a handshake without Host", `GET /ws HTTP/1.1\r\n${webSocket}${key}\r\n`],
  ["an upgrade in HTTP/0.9", `GET /ws\r\nHost: a\r\n${webSocket}${key}\r\n`],
  ["an upgrade in HTTP/1.0", `GET /ws HTTP/1.0\r\nHost: a\r\n${webSocket}${key}\r\n`],
  [
    "a handshake with a body that is not read",
    `GET /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n${webSocket}${key}\r\n`
  ],
  ["a handshake with a coding", `GET /ws HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n${webSocket}${key}\r\n`],
  [
    "an upgrade that hides a coding",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nTransfer-Encoding: identity\r\nUpgrade: h2c\r\n\r\n"
  ],
  [
    "a request lost behind an ignored upgrade",
    "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
  ],
  ["an answer too many behind an ignored upgrade", `${ignored}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n`, [ignored.length]],
  [
    "no end of a cut-off body behind an ignored upgrade",
    "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\nUpgrade: h2c\r\n\r\nabc"
  ],
  [
    "no end of a cut-off chunked body behind an ignored upgrade",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
  ],
  [
    "no end of a handshake behind a request",
    `HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n${webSocket}${key}\r\n\x81\x857`
  ],
  ["a silent close behind keep-alive", "POST /locked HTTP/1.1\r\nHost: a\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"],
  [
    "a silent close for a handshake behind keep-alive",
    "POST /locked HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
  ],
  [
    "a silent close behind keep-alive of an answer that was there before its turn",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nExpect: 200-maybe\r\nHost: a\r\n\r\nT / HTTP/1.1\r\nHost: a\r\n\r\n"
  ],
  ["501 to a CONNECT without Host", "CONNECT a:443 HTTP/1.1\r\n\r\n"],
  ["501 to CONNECT in HTTP/0.9", "CONNECT a:443\r\n\r\n"],
  [
    "100 to a bad coding",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n"
  ],
  [
    "100 to another expectation",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect:: 100-continue\r\n\r\n0\r\n\r\n"
  ]
]

class Server extends Context.Service<Server, Subject>()("test/fuzz/found/Server") {
  static readonly layer = Layer.effect(Server, startSubject("spillway"))
}

layer(Server.layer, { excludeTestServices: true })("Server, after the fuzz test,", (it) => {
  for (const [name, bytes, cuts = []] of cases) {
    for (const ending of ["end", "endAnswered"] as const) {
      it.effect(`does not happen again: ${name} (${ending})`, () =>
        Effect.gen(function* () {
          const player = yield* makePlayer((yield* Server).port)
          const input = { bytes: Buffer.from(bytes, "latin1"), cuts, ending }
          assert.strictEqual(yield* Effect.promise(() => playInput(player, input)), undefined)
        })
      )
    }
  }
})
