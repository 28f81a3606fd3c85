import { HttpAnswer } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
const statuses = ({ answers }: HttpAnswer.Parsed) => answers.map(({ status }) => status)
const remainder = (parsed: { readonly remainder: Uint8Array }) => Buffer.from(parsed.remainder).toString("latin1")

describe("HttpAnswer", () => {
  it("reads a whole answer", () => {
    const { answers, remainder, state } = HttpAnswer.parse(
      "HTTP/1.1 404 Not Found\r\nA: 1\r\na:  2 \r\nContent-Length: 3\r\n\r\nabc"
    )
    assert.deepStrictEqual(answers, [
      {
        version: "1.1",
        status: 404,
        reason: "Not Found",
        headers: { a: "1, 2", "content-length": "3" },
        fields: [
          ["a", "1"],
          ["a", "2"],
          ["content-length", "3"]
        ],
        framing: "length",
        body: new Uint8Array([97, 98, 99]),
        bodyBytes: 3,
        trailers: {},
        interim: []
      }
    ])
    assert.strictEqual(HttpAnswer.text(answers[0]!), "abc")
    assert.deepStrictEqual([state, remainder.length], ["complete", 0])
  })

  it("reads pipelined answers and leaves what is not whole", () => {
    const parsed = HttpAnswer.parse(
      `${ok}HTTP/1.1 204 No Content\r\n\r\n${ok}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel`
    )
    assert.deepStrictEqual(statuses(parsed), [200, 204, 200])
    assert.strictEqual(parsed.state, "partial")
    assert.deepStrictEqual(parsed.unfinished, { status: 200, headers: { "content-length": "5" }, bodyBytes: 3 })
    assert.strictEqual(remainder(parsed), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
  })

  it("reads chunks, their extensions and trailers", () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    const parsed = HttpAnswer.parse(`${head}2;a=b\r\nhi\r\n00A\r\n, everyone\r\n0\r\nX-Sum: 1\r\n\r\n`)
    const [answer] = parsed.answers
    assert.strictEqual(HttpAnswer.text(answer!), "hi, everyone")
    assert.deepStrictEqual([answer!.framing, answer!.trailers], ["chunked", { "x-sum": "1" }])
    assert.strictEqual(parsed.state, "complete")
  })

  it("knows that answers to HEAD, 204 and 304 have no body, whatever they say", () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    const notModified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"
    const parsed = HttpAnswer.parse(`${head}${notModified}${ok}`, { methods: ["HEAD", "GET", "GET"] })
    assert.deepStrictEqual(
      parsed.answers.map(({ bodyBytes, framing, status }) => [status, framing, bodyBytes]),
      [
        [200, "none", 0],
        [304, "none", 0],
        [200, "length", 2]
      ]
    )
  })

  it("puts interim answers before their final one", () => {
    const hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    const interim = [
      { status: 100, headers: {} },
      { status: 103, headers: { link: "a" } }
    ]
    const parsed = HttpAnswer.parse(`${hints}${ok}`)
    assert.deepStrictEqual(parsed.answers[0]!.interim, interim)
    const waiting = HttpAnswer.parse(hints)
    assert.deepStrictEqual([waiting.state, waiting.interim, waiting.answers], ["partial", interim, []])
  })

  it("ends an answer without a length only when the connection has ended in order", () => {
    const text = "HTTP/1.0 200 OK\r\n\r\nall of it"
    assert.strictEqual(HttpAnswer.parse(text).state, "partial")
    const parsed = HttpAnswer.parse(text, { ended: true })
    assert.deepStrictEqual([parsed.state, HttpAnswer.text(parsed.answers[0]!)], ["complete", "all of it"])
    const cut = HttpAnswer.parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall", { ended: true })
    assert.deepStrictEqual([cut.state, cut.answers.length], ["partial", 0])
  })

  it("leaves the bytes of another protocol alone", () => {
    const upgraded = HttpAnswer.parse("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x00")
    assert.deepStrictEqual([upgraded.state, statuses(upgraded), remainder(upgraded)], ["upgraded", [101], "\x81\x00"])
    const tunnel = HttpAnswer.parse("HTTP/1.1 200 OK\r\n\r\nraw", { methods: ["CONNECT"] })
    assert.deepStrictEqual([tunnel.state, remainder(tunnel)], ["upgraded", "raw"])
  })

  it("counts bodies that it does not keep", () => {
    const { answers } = HttpAnswer.parse(ok, { keepBodies: false })
    assert.deepStrictEqual([answers[0]!.bodyBytes, answers[0]!.body.length], [2, 0])
  })

  it("keeps fields that are named like properties of every object", () => {
    const { answers } = HttpAnswer.parse("HTTP/1.1 204 No Content\r\n__proto__: a\r\nconstructor: b\r\n\r\n")
    assert.deepStrictEqual(Object.entries(answers[0]!.headers), [
      ["__proto__", "a"],
      ["constructor", "b"]
    ])
  })

  const malformed: ReadonlyArray<readonly [text: string, reason: string, at: number]> = [
    ["hello", "not a status line", 0],
    ["HTTP/2.0 200 OK\r\n\r\n", "not a status line", 0],
    ["HTTP/1.1 099 No\r\n\r\n", "not a status line", 0],
    ["HTTP/1.1 200\r\n\r\n", "not a status line", 0],
    ["HTTP/1.1  200 OK\r\n\r\n", "not a status line", 0],
    ["\r\nHTTP/1.1 200 OK\r\n\r\n", "not a status line", 0],
    ["HTTP/1.1 200 OK\n\n", "a line that does not end in CRLF", 0],
    ["HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", "not a field line", 17],
    ["HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n", "not a field line", 23],
    ["HTTP/1.1 200 OK\r\nA: 1\x002\r\n\r\n", "not a field line", 17],
    ["HTTP/1.1 200 OK\r\nA: 1\r2\r\n\r\n", "not a field line", 17],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "two Content-Length fields", 55],
    ["HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "Content-Length is not a number", 37],
    ["HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "Content-Length is not a number", 34],
    [
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "Content-Length beside Transfer-Encoding",
      64
    ],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown Transfer-Encoding", 51],
    ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in an answer of HTTP/1.0", 45],
    [
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
      "Content-Length or Transfer-Encoding in an answer 204",
      44
    ],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", "not the size of a chunk", 47],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "a chunk is longer than its size", 51]
  ]

  it.each(malformed)("finds what is wrong with %j", (text, reason, at) => {
    const alone = HttpAnswer.parse(text, { ended: true })
    assert.deepStrictEqual([alone.state, alone.malformed, alone.answers], ["malformed", { at, reason }, []])
    const after = HttpAnswer.parse(ok + text)
    assert.deepStrictEqual(after.malformed, { at: ok.length + at, reason })
    assert.deepStrictEqual([statuses(after), remainder(after)], [[200], text])
  })

  it("bounds a line", () => {
    const { malformed } = HttpAnswer.parse(`HTTP/1.1 200 ${"a".repeat(70_000)}`)
    assert.deepStrictEqual(malformed, { at: 0, reason: "a line is longer than 65,536 bytes" })
  })

  it("reads nothing from nothing", () => {
    assert.deepStrictEqual(HttpAnswer.parse("", { ended: true }), {
      answers: [],
      interim: [],
      unfinished: undefined,
      state: "complete",
      malformed: undefined,
      consumed: 0,
      remainder: new Uint8Array(0)
    })
  })

  const anAnswer = Schema.Struct({
    status: Schema.Literals([200, 204, 304, 404, 503]),
    body: Schema.Uint8Array,
    framing: Schema.Literals(["length", "chunked"]),
    interim: Schema.Boolean
  })

  const bytesOf = ({ body, framing, interim, status }: typeof anAnswer.Type): Buffer => {
    const empty = status === 204 || status === 304
    const fields = empty
      ? ""
      : framing === "length"
        ? `Content-Length: ${body.length}\r\n`
        : "Transfer-Encoding: chunked\r\n"
    const head = `${interim ? "HTTP/1.1 103 Early Hints\r\n\r\n" : ""}HTTP/1.1 ${status} \r\n${fields}\r\n`
    const pieces = [...body].map((byte) => Buffer.from([49, 13, 10, byte, 13, 10]))
    const chunked = Buffer.concat([...pieces, Buffer.from("0\r\n\r\n")])
    return Buffer.concat([Buffer.from(head), empty ? Buffer.alloc(0) : framing === "length" ? body : chunked])
  }

  it.prop(
    "reads what was written, however it is cut",
    [Schema.Array(anAnswer), Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })))],
    ([written, cuts]) => {
      const bytes = Buffer.concat(written.map(bytesOf))
      const parser = HttpAnswer.makeParser()
      let at = 0
      for (const cut of [...cuts, bytes.length]) {
        parser.push(bytes.subarray(at, at + cut))
        at += cut
      }
      const { answers, consumed, state } = parser.parsed()
      assert.deepStrictEqual([state, consumed], ["complete", bytes.length])
      assert.deepStrictEqual(
        answers.map(({ body, interim, status }) => ({ status, body, interim: interim.length })),
        written.map(({ body, interim, status }) => ({
          status,
          body: status === 204 || status === 304 ? new Uint8Array(0) : body,
          interim: interim ? 1 : 0
        }))
      )
    }
  )
})
