/**
 * What a server answered, parsed strictly: a test compares statuses, fields and bodies instead of searching in text.
 *
 * It reads HTTP/1.0 and HTTP/1.1 by RFC 9112 and forgives nothing: lines that do not end in CRLF, folded or misspelled fields, two lengths
 * and the like make an answer malformed, since a client that guesses is a client that can be fooled.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { AnswerParser } from "./internal/AnswerParser.ts"
import type * as internal from "./internal/AnswerParser.ts"

/**
 * What ends the body of an answer: nothing since it has none (`none`), its `Content-Length`, its last chunk, the end of the connection, or
 * nothing since the connection now speaks another protocol (`upgrade`).
 *
 * @category models
 * @since 0.1.0
 */
export type Framing = internal.Framing

/**
 * An answer with a status of 1xx, which announces that the final one follows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Interim {
  /** 100 to 199 without 101, which is final. */
  readonly status: number
  /** The fields by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A whole final answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The version of its status line. */
  readonly version: "1.0" | "1.1"
  /** 101, or 200 to 999. */
  readonly status: number
  /** The reason phrase, which may be empty. */
  readonly reason: string
  /** The fields by their names in lower case; values of fields with the same name are joined by a comma and a space. */
  readonly headers: Readonly<Record<string, string>>
  /** The fields as they came, one entry for each line, names in lower case, values as Latin-1. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  /** What ends the body. */
  readonly framing: Framing
  /** The body without its framing. Empty if the parser keeps no bodies. */
  readonly body: Uint8Array
  /** The length of the body in bytes, also if the parser keeps no bodies. */
  readonly bodyBytes: number
  /** The fields after the last chunk, by their names in lower case. */
  readonly trailers: Readonly<Record<string, string>>
  /** The answers of 1xx that came before it. */
  readonly interim: ReadonlyArray<Interim>
}

/**
 * Options of `parse` and `makeParser`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The methods of the requests in their order: the answer to HEAD has no body whatever its fields say, and a 2xx to CONNECT begins a
   * tunnel. Answers beyond the last method are read as answers to GET.
   *
   * @default []
   */
  readonly methods?: ReadonlyArray<string> | undefined
  /**
   * Whether bodies are kept, or only counted.
   *
   * @default true
   */
  readonly keepBodies?: boolean | undefined
}

/**
 * A final answer whose head has come and whose body has not ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unfinished {
  /** 200 to 999. */
  readonly status: number
  /** The fields by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The bytes of the body until now. */
  readonly bodyBytes: number
}

/**
 * What the bytes of a connection hold.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parsed {
  /** The whole final answers in their order. */
  readonly answers: ReadonlyArray<Answer>
  /** Answers of 1xx after the last final one. */
  readonly interim: ReadonlyArray<Interim>
  /** The answer that is being received or was cut off, if its head is whole. */
  readonly unfinished: Unfinished | undefined
  /**
   * - `complete`: nothing but whole answers, or nothing at all.
   * - `partial`: the last answer is not whole, or has only its 1xx yet.
   * - `upgraded`: the last answer switched protocols; what follows is no HTTP.
   * - `malformed`: what follows the last whole answer is no answer.
   */
  readonly state: "complete" | "partial" | "upgraded" | "malformed"
  /** What is wrong, and the place in bytes from the first; `undefined` unless `malformed`. */
  readonly malformed: { readonly at: number; readonly reason: string } | undefined
  /** How many bytes the whole answers take, from the first. */
  readonly consumed: number
}

/**
 * A parser that takes the bytes of one connection as they come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parser {
  /** Takes bytes. They are copied, so that the caller may use the buffer again. */
  readonly push: (bytes: Uint8Array) => void
  /** Says that the server closed the connection in order, which ends a body that has no other end. Not for a reset. */
  readonly end: () => void
  /** What has come until now. */
  readonly parsed: () => Parsed
}

/** A field may be named like a property of every object: `Object.fromEntries` makes it a property of its own all the same. */
const toRecord = (fields: ReadonlyArray<internal.Field>): Readonly<Record<string, string>> => {
  const merged = new Map<string, string>()
  for (const [name, value] of fields) {
    const before = merged.get(name)
    merged.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(merged)
}

/**
 * Creates a parser for the bytes of one connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeParser = (options: Options = {}): Parser => {
  const answers: Array<Answer> = []
  let interim: Array<Interim> = []
  let chunks: Array<Buffer> = []
  let bodyBytes = 0
  let head: internal.Head | undefined
  const parser = new AnswerParser({
    methodOf: (n) => options.methods?.[n] ?? "GET",
    onInterim: ({ fields, status }) => interim.push({ status, headers: toRecord(fields) }),
    onHead: (unfinished) => {
      head = unfinished
    },
    onBody: (bytes) => {
      bodyBytes += bytes.length
      if (options.keepBodies !== false) chunks.push(Buffer.from(bytes))
    },
    onAnswer: ({ fields, framing, reason, status, version }, trailers) => {
      const [headers, body] = [toRecord(fields), new Uint8Array(Buffer.concat(chunks))]
      const rest = { framing, body, bodyBytes, trailers: toRecord(trailers), interim }
      answers.push({ version, status, reason, headers, fields, ...rest })
      chunks = []
      interim = []
      bodyBytes = 0
      head = undefined
    }
  })
  return {
    push: (bytes) => parser.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    end: () => parser.end(),
    parsed: () => ({
      answers: [...answers],
      interim: [...interim],
      unfinished: head && { status: head.status, headers: toRecord(head.fields), bodyBytes },
      state: stateOf(parser),
      malformed: parser.malformed,
      consumed: parser.consumed
    })
  }
}

const stateOf = (parser: AnswerParser): Parsed["state"] => {
  if (parser.malformed !== undefined) return "malformed"
  if (parser.upgraded) return "upgraded"
  return parser.partial ? "partial" : "complete"
}

/**
 * Parses all that was received on a connection: whole answers, and what remains.
 *
 * **Details**
 *
 * A text is taken as Latin-1, one character a byte, as `RawClient` gives it. `ended` says that the server closed the connection in order
 * (not by a reset), so that a body without a length is whole; by default it did not.
 *
 * **Example** (Two pipelined answers, the second to HEAD)
 *
 * ```ts
 * const { answers, remainder } = HttpAnswer.parse(received, { methods: ["GET", "HEAD"] })
 * assert.deepStrictEqual(answers.map(({ status }) => status), [200, 200])
 * assert.strictEqual(remainder.length, 0)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const parse = (
  received: string | Uint8Array,
  options: Options & { readonly ended?: boolean | undefined } = {}
): Parsed & { readonly remainder: Uint8Array } => {
  const bytes = typeof received === "string" ? new Uint8Array(Buffer.from(received, "latin1")) : received
  const parser = makeParser(options)
  parser.push(bytes)
  if (options.ended === true) parser.end()
  const parsed = parser.parsed()
  return { ...parsed, remainder: bytes.subarray(parsed.consumed) }
}

/**
 * The body of an answer as text: UTF-8, with U+FFFD for what is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const text = (answer: Answer): string => Buffer.from(answer.body).toString("utf8")
