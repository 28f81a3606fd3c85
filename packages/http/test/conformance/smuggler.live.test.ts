/** The mutations of Transfer-Encoding and Content-Length of https://github.com/defparam/smuggler. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "../fixture.ts"
import { readRequests } from "../fuzz/strictRequest.ts"
import { orSkipped, readCases } from "./suites.ts"
import { exchange, makeEcho, saysClose } from "./wire.ts"

interface Case {
  readonly name: string
  readonly raw_b64: string
}

const cases = readCases<Case>("http/smuggler_clte.json")

describe("Server, with smuggler's mutations,", () => {
  it.live.skipIf(cases.length === 0)(
    `answers each once, and never the request that is hidden in its body${orSkipped(cases.length > 0)}`,
    () =>
      Effect.gen(function* () {
        const { app, handled } = makeEcho()
        const server = yield* start(app)
        assert.isAbove(cases.length, 1700)
        const play = Effect.fnUntraced(function* ({ name, raw_b64 }: Case) {
          const bytes = Buffer.from(raw_b64, "base64")
          const { answers, ending, statuses } = yield* exchange(server, bytes, { end: true })
          const { requests } = readRequests(bytes)
          assert.deepStrictEqual([answers.length, ending], [1, "closed"], name)
          // Taken only if it is valid for a strict reader too; then its length is that of Content-Length, with all of the body in it.
          if (statuses[0] === 200) assert.strictEqual(requests.length, 1, name)
          else
            assert.isTrue(
              statuses[0]! >= 400 && statuses[0]! < 500 && saysClose(answers[0]!),
              `${name}: ${statuses[0]}`
            )
        })
        yield* Effect.forEach(cases, play, { concurrency: 16, discard: true })
        assert.isTrue(handled.every((line) => line === "POST /echo?cb=1"))
      })
  )
})
