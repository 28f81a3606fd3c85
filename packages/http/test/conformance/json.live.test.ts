/** https://github.com/nst/JSONTestSuite through `JsonBody`: `y_` is taken, `n_` refused, `i_` is for us to decide. */
import { JsonBody } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpServer, HttpServerResponse } from "effect/http"
import { readdirSync, readFileSync } from "node:fs"
import type { Answer, Running } from "../fixture.ts"
import { get, start } from "../fixture.ts"
import { orSkipped, suitePath } from "./suites.ts"

const app = HttpServer.serve(
  Effect.map(JsonBody.decode(Schema.Json), (value) => HttpServerResponse.jsonUnsafe({ value }))
)

const post = (server: Running, body: Uint8Array<ArrayBuffer>): Effect.Effect<Answer> =>
  get(server.url("/"), { method: "POST", headers: { "content-type": "application/json" }, body })

const assertRefused = ({ body, headers, status }: Answer, name: string): void => {
  assert.isTrue(status >= 400 && status < 500, `${name}: ${status}`)
  assert.strictEqual(headers.get("content-type"), "application/problem+json", name)
  assert.strictEqual((JSON.parse(body) as { readonly status: number }).status, status, name)
  assert.notInclude(body, "    at ", name)
}

const read = (path: string): ReadonlyArray<readonly [name: string, body: Uint8Array<ArrayBuffer>]> =>
  readdirSync(path)
    .filter((file) => file.endsWith(".json"))
    .map((file) => [file, new Uint8Array(readFileSync(`${path}/${file}`))])

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

const parsing = suitePath("json/test_parsing")
const transform = suitePath("json/test_transform")

describe("JsonBody, with nst's JSONTestSuite,", () => {
  it.live.skipIf(parsing === undefined)(
    `takes what is JSON, and refuses with a problem what is not${orSkipped(parsing !== undefined)}`,
    () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        const files = read(parsing!)
        const counts = { y: 0, n: 0, i: 0 }
        for (const [name, body] of files) {
          const answer = yield* post(server, body)
          const kind = name[0] as "y" | "n" | "i"
          counts[kind]++
          if (kind === "n" || !isUtf8(body)) assertRefused(answer, name)
          else if (kind === "i") assert.isBelow(answer.status, 500, name)
          else {
            const value: unknown = JSON.parse(Buffer.from(body).toString())
            assert.deepStrictEqual([answer.status, answer.body], [200, JSON.stringify({ value })], name)
          }
        }
        assert.deepStrictEqual(counts, { y: 95, n: 188, i: 35 })
      })
  )

  it.live.skipIf(transform === undefined)(
    `answers its odd values without a fault${orSkipped(transform !== undefined)}`,
    () =>
      Effect.gen(function* () {
        const server = yield* start(app)
        for (const [name, body] of read(transform!)) {
          const { status } = yield* post(server, body)
          assert.isBelow(status, 500, name)
        }
      })
  )

  it.live("refuses no bytes at all, and bytes that are not UTF-8", () =>
    Effect.gen(function* () {
      const server = yield* start(app)
      for (const bytes of [
        [],
        [0x20],
        [0x22, 0xff, 0x22],
        [0x22, 0xc0, 0xaf, 0x22],
        [0x22, 0xed, 0xa0, 0x80, 0x22],
        [0xff, 0xfe, 0x31, 0]
      ]) {
        assertRefused(yield* post(server, new Uint8Array(bytes)), bytes.join())
      }
    })
  )
})
