import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { getRequest, soon, start, until } from "./fixture.ts"
import { RawClient, SlowReader } from "@spillway/http/testing"

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

describe("Server, large responses", () => {
  const euro = "€".repeat(100_001)
  // Each slice ends between the halves of a pair.
  const pairs = `a${"😀".repeat(150_000)}`
  const bodies: ReadonlyArray<readonly [string, string | Uint8Array]> = [
    ["a text just above the size of two slices", "x".repeat(131_073)],
    ["a text of three bytes a character", euro],
    ["a text of surrogate pairs", pairs],
    ["a text with a half of a pair", `${"x".repeat(65_535)}\ud83d${"y".repeat(100_000)}`],
    ["bytes", new Uint8Array(1_000_003).map((_, i) => i * 31)]
  ]
  for (const [name, body] of bodies) {
    it.live(`arrive whole: ${name}`, () =>
      Effect.gen(function* () {
        const response = typeof body === "string" ? HttpServerResponse.text(body) : HttpServerResponse.uint8Array(body)
        const server = yield* start(HttpServer.serve(Effect.succeed(response)))
        const reader = yield* SlowReader.request(server, getRequest("/", "Connection: close\r\n"))
        const download = yield* soon(reader.readAll)
        assert.deepStrictEqual(
          [
            download.sha256,
            new RegExp(`content-length: ${Buffer.byteLength(body)}\\r`, "i").test(`${download.head}\r`)
          ],
          [sha256(typeof body === "string" ? Buffer.from(body) : body), true]
        )
      })
    )
  }

  it.live("are sent in order on a connection that pipelines, and have no body for HEAD", () =>
    Effect.gen(function* () {
      const text = "0123456789".repeat(20_000)
      const server = yield* start(HttpServer.serve(Effect.succeed(HttpServerResponse.text(text))))
      const client = yield* RawClient.connect(server)
      const get = getRequest("/")
      yield* client.write(`${get}${get.replace("GET", "HEAD")}${getRequest("/", "Connection: close\r\n")}`)
      const { answers } = yield* soon(client.answers(3, ["GET", "HEAD", "GET"]))
      assert.deepStrictEqual(
        answers.map(({ body, status }) => [status, body.length]),
        [200, 0, 200].map((_, i) => [200, i === 1 ? 0 : text.length])
      )
    })
  )

  for (const [name, length] of [
    ["longer", 200_000],
    ["shorter", 400_000]
  ] as const) {
    it.live(
      `with a body ${name === "longer" ? "longer" : "shorter"} than their Content-Length fail, and the server lives`,
      () =>
        Effect.gen(function* () {
          const wrong = HttpServerResponse.setHeader(
            HttpServerResponse.text("x".repeat(300_000)),
            "content-length",
            String(length)
          )
          const app = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) =>
            url === "/wrong" ? wrong : HttpServerResponse.text("ok")
          )
          const server = yield* start(HttpServer.serve(app))
          const client = yield* RawClient.connect(server)
          yield* client.write(getRequest("/wrong"))
          yield* soon(client.ended)
          yield* until(server, ({ connections }) => connections.writing === 0)
          const other = yield* RawClient.connect(server)
          yield* other.write(getRequest("/"))
          assert.include(yield* soon(other.receivedUntil("ok")), "HTTP/1.1 200")
        })
    )
  }

  it.live("cost a text once, however many do not read it", () =>
    Effect.gen(function* () {
      const text = "x".repeat(8 * 2 ** 20)
      const server = yield* start(HttpServer.serve(Effect.sync(() => HttpServerResponse.text(text))), {
        minResponseRate: 0,
        // To write as much as the kernel takes for all of them keeps the loop busy for longer than others should wait.
        queueTarget: Infinity
      })
      const before = process.memoryUsage()
      yield* Effect.forEach(Array.from({ length: 50 }), () => SlowReader.request(server, getRequest("/")))
      yield* until(server, ({ connections }) => connections.writing === 50)
      yield* soon(
        Effect.repeat(
          Effect.tap(server.connections, () => Effect.sleep(50)),
          { until: (all) => all.every(({ bytesSent, sendRate }) => bytesSent > 100_000 && sendRate < 1000) }
        )
      )
      const { arrayBuffers, external, rss } = process.memoryUsage()
      // Encoded at once it would be 400 MiB; what the kernel has taken is not ours.
      assert.isBelow(rss - before.rss, 100 * 2 ** 20)
      assert.isBelow(external + arrayBuffers - before.external - before.arrayBuffers, 50 * 2 ** 20)
    })
  )
})
