/**
 * A strict reader of HTTP/1.x requests, written from the grammar of RFC 9112 and RFC 9110 and from nothing else: the second opinion
 * on what the server's parser made of some bytes. It reads whole inputs, and it is slow and plain on purpose.
 *
 * Where the RFCs let a recipient choose between refusing and mending, it refuses, but for what `Leniency` lists.
 */

/**
 * What the server takes although the grammar forbids it. Each is harmless because no two readers can disagree on where a request ends,
 * or on which one it is.
 *
 * - `target`: characters that RFC 3986 does not allow in a URI, as long as they are visible ASCII, a `%` without two digits behind it
 *   and a fragment among them. Node's parser takes them and the application sees them as they are. RFC 9112 section 3.2 says SHOULD.
 * - `spaces`: more than one space between the parts of the request line, as RFC 9112 section 3 allows.
 * - `emptyLines`: CR and LF in any number and order before the request line; RFC 9112 section 2.2 speaks of CRLF.
 * - `chunkExtensions`: any form of a chunk extension, as long as it has no control characters: nothing of it is used, and it can not
 *   move the end of its line.
 */
export type Leniency = "target" | "spaces" | "emptyLines" | "chunkExtensions"

/** A request that is complete and valid, but for its leniencies. Strings are Latin-1. */
export interface StrictRequest {
  readonly method: string
  readonly target: string
  readonly version: "1.0" | "1.1"
  readonly body: string
  /** No further request of the connection may be answered. */
  readonly last: boolean
  /** The client asked for another protocol: what follows may not be HTTP. */
  readonly upgrades: boolean
  /** The client may wait for `100 Continue`. */
  readonly expectsContinue: boolean
  readonly leniencies: ReadonlyArray<Leniency>
  /** Offset of the first byte after it. */
  readonly end: number
}

/**
 * What follows the valid requests: nothing, or something that is incomplete or invalid, with the reason. If its head is valid it may be
 * answered before it breaks off.
 */
export type Tail =
  | { readonly _tag: "Nothing" }
  | {
      readonly _tag: "Broken"
      readonly reason: string
      readonly head: Start | undefined
      /** The characters that it begins with. */
      readonly beginning: string
    }

/** What is known of a request once its head was read. */
export type Start = Pick<StrictRequest, "method" | "target" | "version" | "expectsContinue">

/** Everything that was sent on a connection, as the RFCs have it. */
export interface Reading {
  readonly requests: ReadonlyArray<StrictRequest>
  readonly tail: Tail
}

class Broken extends Error {
  readonly head: Start | undefined

  constructor(reason: string, head?: Start) {
    super(reason)
    this.head = head
  }
}

const broken = (reason: string, head?: Start): never => {
  throw new Broken(reason, head)
}

/** Reads all that was sent on one connection up to its end. What follows an upgrade are requests if that is ignored. */
export const readRequests = (bytes: Uint8Array, ignoresUpgrades = false): Reading => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
  const requests: Array<StrictRequest> = []
  let from = 0
  let begin = 0
  try {
    for (;;) {
      begin = skipEmptyLines(text, from)
      if (begin === text.length) return { requests, tail: { _tag: "Nothing" } }
      const request = readRequest(text, from, begin)
      requests.push(request)
      // RFC 9112 section 9.6: what follows the last request is not processed.
      if (request.last || (request.upgrades && !ignoresUpgrades)) return { requests, tail: { _tag: "Nothing" } }
      from = request.end
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error
    const beginning = text.slice(begin, begin + 8)
    return { requests, tail: { _tag: "Broken", reason: error.message, head: error.head, beginning } }
  }
}

/** RFC 9112 section 2.2: a server SHOULD ignore at least one empty line before the request line. */
const skipEmptyLines = (text: string, from: number): number => {
  while (text[from] === "\r" || text[from] === "\n") from++
  return from
}

const emptyLinesPattern = /^(?:\r\n)*$/

/** The token of RFC 9110 section 5.6.2. */
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const tokenPattern = new RegExp(`^${token}$`)
const methodPattern = new RegExp(`^${token}$`)
/** Visible characters, `obs-text`, spaces and tabs: RFC 9110 section 5.5. */
const fieldValuePattern = /^[\t\x20-\x7e\x80-\xff]*$/
/** RFC 9112 section 7.1.1, with the quoted string of RFC 9110 section 5.6.4. */
const chunkLinePattern = new RegExp(
  String.raw`^([0-9A-Fa-f]+)((?:[\t ]*;[\t ]*${token}(?:[\t ]*=[\t ]*(?:${token}|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*)$`
)
const lenientChunkLinePattern = /^([0-9A-Fa-f]+);[\t\x20-\x7e\x80-\xff]*$/

interface Line {
  readonly text: string
  readonly next: number
}

/** A line ends with CRLF; a CR or LF alone ends nothing (RFC 9112 section 2.2). */
const readLine = (text: string, from: number): Line => {
  const end = text.indexOf("\n", from)
  if (end === -1) return broken("the input ends within a line")
  if (text[end - 1] !== "\r" || end === from) return broken("bare LF")
  const line = text.slice(from, end - 1)
  if (line.includes("\r")) return broken("bare CR")
  return { text: line, next: end + 1 }
}

interface Head {
  readonly method: string
  readonly target: string
  readonly version: "1.0" | "1.1"
  readonly fields: Fields
  readonly leniencies: ReadonlyArray<Leniency>
  readonly next: number
}

const readRequest = (text: string, from: number, begin: number): StrictRequest => {
  const head = readHead(text, begin)
  const { fields, method, target, version } = head
  checkHost(fields, version)
  const expectsContinue = version === "1.1" && fields.list("expect").includes("100-continue")
  const start = { method, target, version, expectsContinue }
  const { body, end, leniencies } = readBody(text, head, start)
  const connection = fields.list("connection")
  return {
    ...start,
    body,
    last: connection.includes("close") || (version === "1.0" && !connection.includes("keep-alive")),
    upgrades: method === "CONNECT" || (connection.includes("upgrade") && fields.all("upgrade").length > 0),
    leniencies: [
      ...(emptyLinesPattern.test(text.slice(from, begin)) ? [] : ["emptyLines" as const]),
      ...head.leniencies,
      ...leniencies
    ],
    end
  }
}

const readHead = (text: string, from: number): Head => {
  const { next, text: line } = readLine(text, from)
  const parts = line.split(/ +/)
  if (parts.length !== 3) return broken("the request line has not three parts")
  const [method, target, version] = parts as [string, string, string]
  if (!methodPattern.test(method)) return broken("the method is not a token")
  const leniencies = checkTarget(method, target)
  if (line.length > method.length + target.length + version.length + 2) leniencies.push("spaces")
  // RFC 9112 section 2.3; a higher minor version of 1 is to be taken for the highest that we know (RFC 9110 section 2.5).
  const minor = /^HTTP\/1\.(\d)$/.exec(version)?.[1]
  if (minor === undefined) return broken("not a version of HTTP/1")
  const { fields, next: afterFields } = readFields(text, next)
  return { method, target, version: minor === "0" ? "1.0" : "1.1", fields, leniencies, next: afterFields }
}

/** The four forms of RFC 9112 section 3.2. */
const checkTarget = (method: string, target: string): Array<Leniency> => {
  if (!/^[\x21-\x7e]+$/.test(target)) return broken("the target has other than visible characters")
  if (method === "CONNECT") return authority.test(target) ? [] : broken("CONNECT needs an authority")
  if (target === "*") return method === "OPTIONS" ? [] : ["target"]
  if (origin.test(target) || absolute.test(target)) return []
  if (target.startsWith("/") || /^[a-z][a-z0-9+.-]*:\/\//i.test(target) || target.startsWith("*")) return ["target"]
  return broken("the target has none of the four forms")
}

// RFC 3986 appendix A.
const pchar = String.raw`(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})`
const query = String.raw`(?:\?(?:${pchar}|[/?])*)?`
const regName = String.raw`(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*`
const hostAndPort = String.raw`(?:\[[0-9A-Fa-f:.]+\]|${regName})(?::[0-9]*)?`
const origin = new RegExp(`^(?:/${pchar}*)+${query}$`)
const absolute = new RegExp(`^[A-Za-z][A-Za-z0-9+.-]*:(?://${hostAndPort}(?:/${pchar}*)*)${query}$`)
const authority = new RegExp(`^${hostAndPort}$`)
const hostPattern = new RegExp(`^${hostAndPort}$`)

class Fields {
  readonly #values = new Map<string, Array<string>>()

  add(name: string, value: string): void {
    const values = this.#values.get(name)
    if (values === undefined) this.#values.set(name, [value])
    else values.push(value)
  }

  all(name: string): ReadonlyArray<string> {
    return this.#values.get(name) ?? []
  }

  /** The members of a comma-separated list, in lower case (RFC 9110 section 5.6.1: empty ones are ignored). */
  list(name: string): ReadonlyArray<string> {
    return this.all(name)
      .flatMap((value) => value.split(","))
      .map((member) => member.replaceAll(/^[\t ]+|[\t ]+$/g, "").toLowerCase())
      .filter((member) => member !== "")
  }
}

/** RFC 9112 section 5: `field-name ":" OWS field-value OWS`, no white space before the colon, no folding. */
const readFields = (text: string, from: number): { readonly fields: Fields; readonly next: number } => {
  const fields = new Fields()
  for (;;) {
    const { next, text: line } = readLine(text, from)
    from = next
    if (line === "") return { fields, next }
    const colon = line.indexOf(":")
    if (colon === -1) return broken("a field without a colon")
    const name = line.slice(0, colon)
    if (!tokenPattern.test(name)) return broken("a field name that is not a token")
    const value = line.slice(colon + 1).replaceAll(/^[\t ]+|[\t ]+$/g, "")
    if (!fieldValuePattern.test(value)) return broken("a control character in a field value")
    fields.add(name.toLowerCase(), value)
  }
}

/** RFC 9112 section 3.2. */
const checkHost = (fields: Fields, version: "1.0" | "1.1"): void => {
  const hosts = fields.all("host")
  if (hosts.length > 1) return broken("two Host fields")
  if (hosts.length === 0) return version === "1.1" ? broken("no Host field") : undefined
  if (!hostPattern.test(hosts[0]!)) return broken("a Host field that is no host")
}

interface Body {
  readonly body: string
  readonly end: number
  readonly leniencies: ReadonlyArray<Leniency>
}

/** RFC 9112 section 6.3. */
const readBody = (text: string, { fields, next, version }: Head, start: Start): Body => {
  const lengths = fields.all("content-length")
  if (fields.all("transfer-encoding").length > 0) {
    if (version === "1.0") return broken("Transfer-Encoding in HTTP/1.0")
    if (lengths.length > 0) return broken("Transfer-Encoding and Content-Length")
    const codings = fields.list("transfer-encoding")
    if (codings.length !== 1 || codings[0] !== "chunked") return broken("another transfer coding than chunked")
    try {
      return readChunks(text, next)
    } catch (error) {
      throw error instanceof Broken ? new Broken(error.message, start) : error
    }
  }
  if (lengths.length === 0) return { body: "", end: next, leniencies: [] }
  if (lengths.length > 1) return broken("two Content-Length fields")
  if (!/^[0-9]+$/.test(lengths[0]!)) return broken("a Content-Length that is no number")
  const length = Number(lengths[0])
  if (next + length > text.length) return broken("the input ends within a body", start)
  return { body: text.slice(next, next + length), end: next + length, leniencies: [] }
}

/** RFC 9112 section 7.1. */
const readChunks = (text: string, from: number): Body => {
  let body = ""
  const leniencies: Array<Leniency> = []
  for (;;) {
    const { next, text: line } = readLine(text, from)
    const match = chunkLinePattern.exec(line) ?? lenientChunkLinePattern.exec(line)
    if (match === null) return broken("a chunk line that is none")
    if (!chunkLinePattern.test(line)) leniencies.push("chunkExtensions")
    const size = Number.parseInt(match[1]!, 16)
    if (size === 0) return { body, end: readFields(text, next).next, leniencies }
    if (next + size + 2 > text.length) return broken("the input ends within a chunk")
    if (!text.startsWith("\r\n", next + size)) return broken("a chunk that does not end with CRLF")
    body += text.slice(next, next + size)
    from = next + size + 2
  }
}
