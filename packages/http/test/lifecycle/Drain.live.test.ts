import { SilentClient } from "@spillway/http/testing"
import type { RawClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { createHash } from "node:crypto"
import { get as request } from "node:http"
import { getRequest, soon } from "../fixture.ts"
import { bytes } from "./fixtures/bytes.ts"
import { startServer } from "./support/child.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

interface Download {
  readonly bytes: number
  readonly sha256: string
  readonly complete: boolean
}

/** Reads about a megabyte and then nothing for some turns, over and over; tells of its first byte. */
const readSteadily = (port: number, path: string, onFirst: () => void) =>
  Effect.callback<Download>((resume) => {
    const hash = createHash("sha256")
    let [received, portion] = [0, 0]
    const outgoing = request({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      response.on("data", (chunk: Buffer) => {
        if (received === 0) onFirst()
        hash.update(chunk)
        received += chunk.length
        portion += chunk.length
        if (portion < 2 ** 20) return
        portion = 0
        response.pause()
        setTimeout(() => response.resume(), 20)
      })
      response.on("error", () => {})
      response.on("close", () =>
        resume(Effect.succeed({ bytes: received, sha256: hash.digest("hex"), complete: response.complete }))
      )
    })
    return Effect.sync(() => outgoing.destroy())
  })

const postHead = (path: string) =>
  `POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n`

/** How often each of some texts came. */
const tally = (texts: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

/** What clients received once their connections have ended, by status line; `expected` came before. */
const endings = (clients: ReadonlyArray<RawClient.Connection>, before = "") =>
  Effect.map(
    Effect.forEach(clients, (client) => soon(Effect.andThen(client.ended, client.received)), {
      concurrency: "unbounded"
    }),
    (texts) => tally(texts.map((text) => text.slice(before.length).split("\r\n")[0] ?? ""))
  )

describe("Server, ended by SIGTERM", () => {
  it.live(
    "sends a response of 64 MB that was ended right before to a slow but steady reader whole, and exits with 0",
    () =>
      Effect.gen(function* () {
        const length = 64_000_000
        const server = yield* startServer({ SPILLWAY_HTTP_DRAIN_TIMEOUT: "25 seconds" })
        let signalled = false
        const download = yield* readSteadily(server.port, `/bytes?seed=1&length=${length}`, () => {
          signalled = true
          server.kill("SIGTERM")
        })
        assert.isTrue(signalled)
        assert.deepStrictEqual(download, { bytes: length, sha256: sha256(bytes(1, length)), complete: true })
        assert.deepStrictEqual(yield* soon(server.exited), { code: 0, signal: null })
      })
  )

  it.live("exits with 0 within its bound, whatever 100 idle, 100 half-head and 100 half-body connections do", () =>
    Effect.gen(function* () {
      const [preStop, drainTimeout, atMostBeyond] = [200, 500, 1100]
      const server = yield* startServer({
        SPILLWAY_HTTP_PRE_STOP: `${preStop} millis`,
        SPILLWAY_HTTP_DRAIN_TIMEOUT: `${drainTimeout} millis`,
        // A hundred at once, on a machine that has no time: the door would shed some.
        SPILLWAY_HTTP_QUEUE_TARGET: "Infinity"
      })
      const idle = yield* SilentClient.connect(server, 100, getRequest("/"))
      const answers = yield* Effect.forEach(idle, (client) => soon(client.receivedUntil("\r\n\r\nok")))
      const heads = yield* SilentClient.connect(server, 100, "GET / HTTP/1.1\r\nHost")
      const small = yield* SilentClient.connect(server, 50, `${postHead("/json")}{"a":`)
      const text = yield* SilentClient.connect(server, 50, `${postHead("/echo")}abc`)
      // Read after all that was sent before.
      const [last] = yield* SilentClient.connect(server, 1, getRequest("/"))
      yield* soon(last!.receivedUntil("\r\n\r\nok"))

      const before = yield* Clock.monotonicTimeNanos
      server.kill("SIGTERM")
      assert.deepStrictEqual(yield* soon(server.exited), { code: 0, signal: null })
      const millis = Number((yield* Clock.monotonicTimeNanos) - before) / 1e6
      // A second for a busy machine.
      assert.isBelow(millis, preStop + drainTimeout + atMostBeyond + 1000)
      assert.isAtLeast(millis, preStop)
      assert.deepStrictEqual(
        {
          idle: yield* endings(idle, answers[0]),
          heads: yield* endings(heads),
          json: yield* endings(small),
          text: yield* endings(text)
        },
        {
          idle: { "": 100 },
          heads: { "": 100 },
          json: { "HTTP/1.1 503 Service Unavailable": 50 },
          text: { "HTTP/1.1 503 Service Unavailable": 50 }
        }
      )
    })
  )
})
