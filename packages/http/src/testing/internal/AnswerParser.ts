import type { Buffer } from "node:buffer"

/** What ends the body of an answer. */
export type Framing = "none" | "length" | "chunked" | "close" | "upgrade"

export type Field = readonly [name: string, value: string]

/** The head of an answer, without what is made of it for users. */
export interface Head {
  readonly version: "1.0" | "1.1"
  readonly status: number
  readonly reason: string
  readonly fields: ReadonlyArray<Field>
  readonly framing: Framing
}

export interface Malformed {
  /** The place of the line that is wrong, in bytes from the first. */
  readonly at: number
  readonly reason: string
}

export interface Handler {
  /** The method of the request that the n-th final answer belongs to. */
  readonly methodOf: (n: number) => string
  readonly onInterim: (head: Head) => void
  /** The head of a final answer whose body follows. */
  readonly onHead: (head: Head) => void
  readonly onBody: (bytes: Buffer) => void
  readonly onAnswer: (head: Head, trailers: ReadonlyArray<Field>) => void
}

type State =
  | "status"
  | "field"
  | "bytes"
  | "chunkSize"
  | "chunkBytes"
  | "chunkEnd"
  | "trailer"
  | "close"
  | "upgraded"
  | "malformed"

const maxLine = 65_536
const maxFields = 10_000
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const chunkLine = /^([0-9A-Fa-f]{1,13})[\t ]*(;[\t\x20-\x7e\x80-\xff]*)?$/

const valuesOf = (fields: ReadonlyArray<Field>, name: string): ReadonlyArray<string> =>
  fields.flatMap(([key, value]) => (key === name ? [value] : []))

/** What is wrong with the length of an answer, or how long it is. RFC 9112 section 6.3. */
const framingOf = (
  method: string,
  version: string,
  status: number,
  fields: ReadonlyArray<Field>
): { readonly framing: Framing; readonly length: number } | string => {
  const lengths = valuesOf(fields, "content-length")
  const encodings = valuesOf(fields, "transfer-encoding")
  if (lengths.length > 1) return "two Content-Length fields"
  if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0]!)) return "Content-Length is not a number"
  if (encodings.length > 0 && lengths.length > 0) return "Content-Length beside Transfer-Encoding"
  if (encodings.length > 0 && version === "1.0") return "Transfer-Encoding in an answer of HTTP/1.0"
  if (encodings.length > 0 && encodings.join(",").toLowerCase() !== "chunked") return "unknown Transfer-Encoding"
  const isTunnel = method === "CONNECT" && status >= 200 && status < 300
  if ((status < 200 || status === 204 || isTunnel) && lengths.length + encodings.length > 0) {
    return `Content-Length or Transfer-Encoding in an answer ${isTunnel ? "to CONNECT" : status}`
  }
  if (status === 101 || isTunnel) return { framing: "upgrade", length: 0 }
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return { framing: "none", length: 0 }
  if (encodings.length > 0) return { framing: "chunked", length: 0 }
  return lengths.length === 0 ? { framing: "close", length: 0 } : { framing: "length", length: Number(lengths[0]) }
}

const parseField = (line: string): Field | undefined => {
  const colon = line.indexOf(":")
  if (colon <= 0) return undefined
  let [start, end] = [colon + 1, line.length]
  while (start < end && (line[start] === " " || line[start] === "\t")) start++
  while (end > start && (line[end - 1] === " " || line[end - 1] === "\t")) end--
  const [name, value] = [line.slice(0, colon), line.slice(start, end)]
  return token.test(name) && fieldValue.test(value) ? [name.toLowerCase(), value] : undefined
}

/**
 * A strict HTTP/1.x response parser that is fed piece by piece. Lines end in CRLF, nothing is folded, nothing is guessed. After the first
 * fault it takes no more.
 */
export class AnswerParser {
  readonly #handler: Handler
  #state: State = "status"
  #line = ""
  #left = 0
  #seen = 0
  #lineAt = 0
  #count = 0
  #fields: Array<Field> = []
  #trailers: Array<Field> = []
  #status: RegExpExecArray | undefined
  #head: Head | undefined
  /** The first fault. */
  malformed: Malformed | undefined
  /** Bytes up to the end of the last whole final answer. */
  consumed = 0

  constructor(handler: Handler) {
    this.#handler = handler
  }

  get upgraded(): boolean {
    return this.#state === "upgraded"
  }

  /** Whether something of an answer has come that is not whole, a final answer after an interim one included. */
  get partial(): boolean {
    return !this.upgraded && this.malformed === undefined && this.#seen > this.consumed
  }

  push(bytes: Buffer): void {
    const base = this.#seen
    let at = 0
    while (at < bytes.length && this.#state !== "malformed" && this.#state !== "upgraded") {
      at = this.#takesBytes() ? this.#takeBytes(bytes, at, base) : this.#takeLine(bytes, at, base)
    }
    this.#seen = base + bytes.length
  }

  /** The peer has closed its side in order, which ends an answer that has no other end. */
  end(): void {
    if (this.#state === "close") this.#complete(this.#seen)
  }

  #takesBytes(): boolean {
    return this.#state === "bytes" || this.#state === "chunkBytes" || this.#state === "close"
  }

  #takeBytes(bytes: Buffer, at: number, base: number): number {
    if (this.#state === "close") {
      this.#handler.onBody(bytes.subarray(at))
      return bytes.length
    }
    const end = Math.min(bytes.length, at + this.#left)
    this.#handler.onBody(bytes.subarray(at, end))
    this.#left -= end - at
    if (this.#left === 0) {
      if (this.#state === "bytes") this.#complete(base + end)
      else this.#state = "chunkEnd"
      this.#lineAt = base + end
    }
    return end
  }

  #takeLine(bytes: Buffer, at: number, base: number): number {
    const feed = bytes.indexOf(10, at)
    const end = feed === -1 ? bytes.length : feed + 1
    this.#line += bytes.toString("latin1", at, end)
    if (this.#line.length > maxLine) this.#fail("a line is longer than 65,536 bytes")
    else if (feed === -1) this.#checkBeginning()
    else if (!this.#line.endsWith("\r\n")) this.#fail("a line that does not end in CRLF")
    else this.#onLine(this.#line.slice(0, -2), base + end)
    if (feed !== -1) {
      this.#line = ""
      this.#lineAt = base + end
    }
    return end
  }

  /** What cannot become an answer is found before its line is whole. */
  #checkBeginning(): void {
    const begin = "HTTP/1."
    if (this.#state === "status" && !this.#line.startsWith(begin.slice(0, this.#line.length))) {
      this.#fail("not a status line")
    }
  }

  #onLine(line: string, end: number): void {
    switch (this.#state) {
      case "status":
        return this.#onStatus(line)
      case "field":
        return line === "" ? this.#onHead(end) : this.#onField(line, this.#fields)
      case "chunkSize":
        return this.#onChunk(line)
      case "chunkEnd":
        if (line !== "") return this.#fail("a chunk is longer than its size")
        this.#state = "chunkSize"
        return
      default:
        return line === "" ? this.#complete(end) : this.#onField(line, this.#trailers)
    }
  }

  #onStatus(line: string): void {
    const match = statusLine.exec(line)
    if (match === null) return this.#fail("not a status line")
    this.#status = match
    this.#fields = []
    this.#trailers = []
    this.#state = "field"
  }

  #onField(line: string, fields: Array<Field>): void {
    const field = parseField(line)
    if (field === undefined) return this.#fail("not a field line")
    if (fields.length === maxFields) return this.#fail("more than 10,000 fields")
    fields.push(field)
  }

  #onHead(end: number): void {
    const [, minor, code, reason = ""] = this.#status!
    const [version, status] = [`1.${minor}` as Head["version"], Number(code)]
    const body = framingOf(this.#handler.methodOf(this.#count), version, status, this.#fields)
    if (typeof body === "string") return this.#fail(body)
    const head = { version, status, reason, fields: this.#fields, framing: body.framing }
    if (status < 200 && status !== 101) {
      this.#state = "status"
      return this.#handler.onInterim(head)
    }
    this.#head = head
    this.#left = body.length
    if (body.framing !== "chunked" && body.framing !== "close" && body.length === 0) return this.#complete(end)
    this.#state = body.framing === "chunked" ? "chunkSize" : body.framing === "close" ? "close" : "bytes"
    this.#handler.onHead(head)
  }

  #onChunk(line: string): void {
    const size = chunkLine.exec(line)?.[1]
    if (size === undefined) return this.#fail("not the size of a chunk")
    this.#left = Number.parseInt(size, 16)
    this.#state = this.#left === 0 ? "trailer" : "chunkBytes"
  }

  #complete(end: number): void {
    const head = this.#head!
    this.#state = head.framing === "upgrade" ? "upgraded" : "status"
    this.#count++
    this.consumed = end
    this.#handler.onAnswer(head, this.#trailers)
  }

  #fail(reason: string): void {
    this.#state = "malformed"
    this.malformed = { at: this.#lineAt, reason }
  }
}
