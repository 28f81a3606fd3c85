/** Requests that RFC 9110 and RFC 9112 forbid: each is refused, nothing of it reaches a handler, and its connection closes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "../fixture.ts"
import { assertRefused, exchange, makeEcho } from "./wire.ts"
import type { Bytes } from "./wire.ts"

type Case = readonly [name: string, section: string, bytes: Bytes, statuses?: ReadonlyArray<number>]

const line = (requestLine: string, ...fields: ReadonlyArray<string>): string =>
  [requestLine, "Host: a", ...fields, "", ""].join("\r\n")
const get = (...fields: ReadonlyArray<string>): string => line("GET / HTTP/1.1", ...fields)
const post = (fields: ReadonlyArray<string>, body = ""): string => line("POST / HTTP/1.1", ...fields) + body
const chunked = (body: string): string => post(["Transfer-Encoding: chunked"], body)

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

const requestLines: ReadonlyArray<Case> = [
  ["HTTP/0.9", "RFC 9112 2.3", "GET /\r\n\r\n"],
  ["HTTP/0.9 by name", "RFC 9112 2.3", line("GET / HTTP/0.9")],
  ["HTTP/0.9 with an upgrade", "RFC 9112 2.3", line("GET /", "Connection: Upgrade", "Upgrade: h2c")],
  ["HTTP/2 in words", "RFC 9110 2.5", line("GET / HTTP/2.0")],
  ["the preface of HTTP/2", "RFC 9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["an unknown version", "RFC 9112 2.3", line("GET / HTTP/9.9")],
  ["a version in lower case", "RFC 9112 2.3", line("GET / http/1.1")],
  ["a version of two digits", "RFC 9112 2.3", line("GET / HTTP/1.10")],
  ["a version of another protocol", "RFC 9112 2.3", line("GET / ICE/1.0")],
  ["space in the target", "RFC 9112 3.2", line("GET /a b HTTP/1.1")],
  ["a target that is not ASCII", "RFC 9112 3.2", line("GET /\xe9 HTTP/1.1")],
  ["a control character in the target", "RFC 9112 3.2", line("GET /\x01 HTTP/1.1")],
  ["no target", "RFC 9112 3.2", line("GET HTTP/1.1")],
  ["a target of none of the four forms", "RFC 9112 3.2", line("GET a HTTP/1.1")],
  ["tabs between the parts of the request line", "RFC 9112 3", line("GET\t/\tHTTP/1.1")],
  ["space before the method", "RFC 9112 3", ` ${get()}`],
  ["a method that is no token", "RFC 9110 9.1", line("G@T / HTTP/1.1")],
  ["a method in lower case, which is another method", "RFC 9110 9.1", line("get / HTTP/1.1"), [400, 405, 501]],
  ["an unknown method", "RFC 9110 9.1", line("BREW / HTTP/1.1"), [400, 405, 501]],
  ["CONNECT", "RFC 9110 9.3.6", line("CONNECT a:443 HTTP/1.1"), [400, 405, 501]],
  ["TLS", "RFC 9112 3", Buffer.from("16030100c8010000c40303", "hex")],
  ["bytes that are not HTTP", "RFC 9112 3", Buffer.from([0, 1, 2, 3, 13, 10, 13, 10])]
]

const lineEnds: ReadonlyArray<Case> = [
  ["bare LF behind the request line", "RFC 9112 2.2", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
  ["bare LF behind a field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"],
  ["bare LF behind the head", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: a\r\n\n"],
  ["bare LF everywhere", "RFC 9112 2.2", "GET / HTTP/1.1\nHost: a\n\n"],
  ["bare CR behind the request line", "RFC 9112 2.2", "GET / HTTP/1.1\rHost: a\r\n\r\n"],
  ["bare CR behind a field", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"],
  ["bare CR in a field value", "RFC 9110 5.5", get("X: a\rb")],
  ["bare CR behind the head", "RFC 9112 2.2", "GET / HTTP/1.1\r\nHost: a\r\n\rX"]
]

const fields: ReadonlyArray<Case> = [
  ["obsolete line folding", "RFC 9112 5.2", get("X: a", " b")],
  ["obsolete line folding with a tab", "RFC 9112 5.2", get("X: a", "\tb")],
  ["folding of the first field", "RFC 9112 2.2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
  ["space before the colon", "RFC 9112 5.1", get("X : y")],
  ["a tab before the colon", "RFC 9112 5.1", get("X\t: y")],
  ["a field without a colon", "RFC 9112 5", get("X")],
  ["a field without a name", "RFC 9112 5", get(": y")],
  ["a field name that is no token", "RFC 9110 5.1", get("X@: y")],
  ["a field name that is not ASCII", "RFC 9110 5.1", get("\xe9: y")],
  ["NUL in a field value", "RFC 9110 5.5", get("X: a\0b")],
  ["a control character in a field value", "RFC 9110 5.5", get("X: a\x01b")],
  ["DEL in a field value", "RFC 9110 5.5", get("X: a\x7fb")],
  ["NUL in a field name", "RFC 9110 5.1", get("X\0: y")]
]

const hosts: ReadonlyArray<Case> = [
  ["no Host", "RFC 9112 3.2", "GET / HTTP/1.1\r\n\r\n"],
  ["no Host and a body", "RFC 9112 3.2", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"],
  ["no Host, and no request behind it", "RFC 9112 3.2", `GET / HTTP/1.1\r\n\r\n${smuggled}`],
  ["two Host fields", "RFC 9112 3.2", get("Host: b")],
  ["two Host fields that say the same", "RFC 9112 3.2", get("Host: a")],
  ["two Host fields in HTTP/1.0", "RFC 9112 3.2", line("GET / HTTP/1.0", "Host: b")],
  ["two Host fields in absolute form", "RFC 9112 3.2", line("GET http://a/ HTTP/1.1", "Host: b")],
  ...["a b", "a/b", "a@b", "a:b", "a:80:80", "[::1", "::1", "%zz", "a#b", "a\\b", "<a>"].map((host): Case => [
    `Host: ${host}`,
    "RFC 9112 3.2",
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  ]),
  [
    "no Host in a WebSocket handshake",
    "RFC 9112 3.2",
    "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  ]
]

const lengths: ReadonlyArray<Case> = [
  ["two Content-Length fields", "RFC 9112 6.3", post(["Content-Length: 1", "Content-Length: 2"], "ab")],
  ["two in one field", "RFC 9112 6.3", post(["Content-Length: 1, 2"], "ab")],
  ...["", "-1", "+1", "1.0", "0x1", "1e0", "1 2", "a", "1a", "\xb2"].map((value): Case => [
    `Content-Length: ${value}`,
    "RFC 9110 8.6",
    post([`Content-Length: ${value}`], "a")
  ]),
  ["a Content-Length beyond 64 bits", "RFC 9110 8.6", post([`Content-Length: ${2n ** 64n + 1n}`], "a")],
  [
    "Content-Length before Transfer-Encoding",
    "RFC 9112 6.3",
    post(["Content-Length: 6", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`)
  ],
  [
    "Transfer-Encoding before Content-Length",
    "RFC 9112 6.3",
    post(["Transfer-Encoding: chunked", "Content-Length: 6"], `0\r\n\r\n${smuggled}`)
  ],
  [
    "Transfer-Encoding with Content-Length: 0",
    "RFC 9112 6.3",
    post(["Content-Length: 0", "Transfer-Encoding: chunked"], `0\r\n\r\n${smuggled}`)
  ]
]

const codings: ReadonlyArray<Case> = [
  ...[
    "identity",
    "gzip",
    "chunked, gzip",
    "gzip, chunked",
    "chunked, chunked",
    "xchunked",
    "chunked;q=1",
    '"chunked"',
    ""
  ]
    // RFC 9112 section 6.1 says 501 for a coding that is not known, but does not demand it.
    .map((value): Case => [
      `Transfer-Encoding: ${value}`,
      "RFC 9112 6.1",
      post([`Transfer-Encoding: ${value}`], `0\r\n\r\n${smuggled}`),
      [400, 501]
    ]),
  [
    "Transfer-Encoding in HTTP/1.0",
    "RFC 9112 6.1",
    line("POST / HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked") + `0\r\n\r\n${smuggled}`,
    [400, 501]
  ],
  [
    "an unknown coding of a request that asks for an upgrade",
    "RFC 9112 6.1",
    post(["Connection: Upgrade", "Upgrade: h2c", "Transfer-Encoding: xchunked"], smuggled),
    [400, 501]
  ]
]

const chunks: ReadonlyArray<Case> = [
  ["a chunk size that is no number", "RFC 9112 7.1", chunked("x\r\n\r\n0\r\n\r\n")],
  ["no chunk size", "RFC 9112 7.1", chunked("\r\n0\r\n\r\n")],
  ["a negative chunk size", "RFC 9112 7.1", chunked("-1\r\na\r\n0\r\n\r\n")],
  ["a chunk size with a prefix", "RFC 9112 7.1", chunked("0x1\r\na\r\n0\r\n\r\n")],
  ["a chunk size with a sign", "RFC 9112 7.1", chunked("+1\r\na\r\n0\r\n\r\n")],
  ["a chunk size beyond 64 bits", "RFC 9112 7.1", chunked("10000000000000001\r\na\r\n0\r\n\r\n")],
  ["space behind a chunk size", "RFC 9112 7.1.1", chunked("1 \r\na\r\n0\r\n\r\n")],
  ["space before a chunk size", "RFC 9112 7.1", chunked(" 1\r\na\r\n0\r\n\r\n")],
  ["bare LF behind a chunk size", "RFC 9112 7.1", chunked("1\na\r\n0\r\n\r\n")],
  ["bare CR behind a chunk size", "RFC 9112 7.1", chunked("1\ra\r\n0\r\n\r\n")],
  ["a chunk longer than its size", "RFC 9112 7.1", chunked("1\r\nab\r\n0\r\n\r\n")],
  ["bare LF behind a chunk", "RFC 9112 7.1", chunked("1\r\na\n0\r\n\r\n")],
  ["bare LF in a chunk extension", "RFC 9112 7.1.1", chunked("1;a\nb\r\na\r\n0\r\n\r\n")],
  ["a chunk extension without a name", "RFC 9112 7.1.1", chunked("1;\r\na\r\n0\r\n\r\n")],
  ["an open quote in a chunk extension", "RFC 9112 7.1.1", chunked('1;a="b\r\na\r\n0\r\n\r\n')],
  [
    "chunk extensions of more than 16 KiB",
    "RFC 9112 7.1.1",
    chunked(`1;${"a".repeat(20_000)}\r\na\r\n0\r\n\r\n`),
    [400, 413]
  ],
  ["a trailer that is no field", "RFC 9112 7.1.2", chunked("0\r\nX\r\n\r\n")],
  ["bare LF behind a trailer", "RFC 9112 7.1.2", chunked("0\r\nX: y\n\r\n")],
  ["trailers of more than 16 KiB", "RFC 9112 7.1.2", chunked(`0\r\nX: ${"y".repeat(20_000)}\r\n\r\n`), [400, 413, 431]]
]

const sizes: ReadonlyArray<Case> = [
  // RFC 9112 section 3: a request line that is too long for the server.
  ["a target of 20 KB", "RFC 9110 15.5.15", line(`GET /${"y".repeat(20_000)} HTTP/1.1`), [414]],
  ["a target that never ends", "RFC 9110 15.5.15", `GET /${"y".repeat(40_000)}`, [414]],
  ["a field of 20 KB", "RFC 6585 5", get(`X: ${"y".repeat(20_000)}`), [431]],
  [
    "fields of 20 KB together",
    "RFC 6585 5",
    get(...Array.from({ length: 200 }, (_, i) => `X-${i}: ${"y".repeat(95)}`)),
    [431]
  ],
  ["fields that never end", "RFC 6585 5", `GET / HTTP/1.1\r\nHost: a\r\n${"x: y\r\n".repeat(10_000)}`, [431]]
]

const groups: Readonly<Record<string, ReadonlyArray<Case>>> = {
  "the request line": requestLines,
  "line ends": lineEnds,
  fields,
  Host: hosts,
  "Content-Length": lengths,
  "Transfer-Encoding": codings,
  chunks,
  sizes
}

for (const [group, cases] of Object.entries(groups)) {
  describe(`Server refuses, in ${group},`, () => {
    for (const [name, section, bytes, statuses = [400]] of cases) {
      it.live(`${name} (${section})`, () =>
        Effect.gen(function* () {
          const { app, handled } = makeEcho()
          const server = yield* start(app)
          const refused = yield* exchange(server, bytes)
          assertRefused(refused, statuses)
          assert.strictEqual(refused.answers.length, 1)
          // The head of a request whose body turns out to be wrong is good: its handler may have begun, and has failed.
          if (group !== "chunks") assert.deepStrictEqual(handled, [])
          assert.notInclude(handled.join(), "smuggled")
        })
      )
    }
  })
}
