/** The request cases of llhttp, the parser of node: https://github.com/nodejs/llhttp, `test/request`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "../fixture.ts"
import { readRequests } from "../fuzz/strictRequest.ts"
import { orSkipped, readCases } from "./suites.ts"
import { exchange, makeEcho, saysClose } from "./wire.ts"

interface Case {
  readonly file: string
  readonly name: string
  readonly meta: { readonly type: string; readonly skipBody?: boolean }
  readonly raw_b64: string
  /** Requests that are whole. */
  readonly complete: number
  readonly error: { readonly code: number; readonly reason: string } | null
}

const cases = readCases<Case>("http/llhttp_request_cases.json")

/** Not errors of the request, but a parser that stops where another protocol may begin, or behind the last request. */
const stopped = new Set([5, 22])

/**
 * What node itself refuses: it gives the parser no leave for HTTP/0.9, nor for a body that is skipped, which no request has.
 */
const exempt = new Set(["No HTTP version", "Content-Length reset when no body is received"])

/** Many cases have no Host, which is a good reason to refuse them: it is added, so that they are refused for their own. */
const withHost = (raw: string): string =>
  /^host\s*:/im.test(raw) ? raw : raw.replaceAll(/^([A-Z-]+ \S+ HTTP\/1\.1\r\n)(?! )/gm, "$1Host: a\r\n")

const methodsOf = (raw: string): ReadonlyArray<string> =>
  [...raw.matchAll(/^([A-Z-]+) \S+ HTTP\/1/gm)].map(([, m]) => m!)

describe(`Server agrees with llhttp's cases${orSkipped(cases.length > 0)}`, () => {
  const server = (bytes: string, raw: string) =>
    Effect.gen(function* () {
      const { app, handled } = makeEcho()
      const running = yield* start(app)
      return { ...(yield* exchange(running, bytes, { end: true, methods: methodsOf(raw) })), handled }
    })

  for (const each of cases) {
    const { complete, error, file, meta, name } = each
    const raw = withHost(Buffer.from(each.raw_b64, "base64").toString("latin1"))
    const title = `${file}: ${name}`

    if (meta.type === "request" && error !== null && !stopped.has(error.code)) {
      it.live(`refuses ${title} (${error.reason})`, () =>
        Effect.gen(function* () {
          const { answers, ending, handled, statuses } = yield* server(raw, raw)
          // A good request in front is answered first; then the 4xx may be left out, the close may not. A method that node does not
          // know is good by the grammar.
          const good = readRequests(Buffer.from(raw, "latin1")).requests.length
          assert.isTrue(
            statuses.every((status, i) => (status === 200 && i < good) || (status >= 400 && status < 500)),
            statuses.join()
          )
          assert.isTrue(answers.length >= 1 && answers.length <= good + 1)
          assert.deepStrictEqual([saysClose(answers.at(-1)!), ending], [true, "closed"])
          // The head may have been good; the request behind it must not have been reached.
          assert.isAtMost(handled.length, good + 1)
        })
      )
    } else if (meta.type.startsWith("request-lenient") || exempt.has(name) || error !== null) {
      // Bytes that only a forgiving parser takes, or that end in another protocol: whatever the answer, it is a proper one.
      it.live(`survives ${title}`, () =>
        Effect.gen(function* () {
          const { answers, statuses } = yield* server(raw, raw)
          assert.isTrue(
            statuses.every((status) => status < 500 || status === 501),
            statuses.join()
          )
          assert.isAtMost(answers.length, complete + 1)
        })
      )
    } else {
      it.live(`answers ${complete} of ${title}`, () =>
        Effect.gen(function* () {
          const { answers, handled, statuses } = yield* server(raw, raw)
          // RFC 9112 section 6.1: llhttp leaves it to node to know a coding, and node to its user.
          const refused = /^Transfer-Encoding: deflate/im.test(raw)
          assert.deepStrictEqual(
            statuses.slice(0, complete),
            Array.from({ length: complete }, () => (refused ? 400 : 200))
          )
          assert.isAtMost(answers.length, complete + 1)
          assert.isAtMost(handled.length, complete + 1)
        })
      )
    }
  }

  it.skipIf(cases.length === 0)("counts what llhttp refuses", () => {
    const refused = cases.filter(
      ({ error, meta }) => meta.type === "request" && error !== null && !stopped.has(error.code)
    )
    assert.strictEqual(refused.length, 47)
  })
})
