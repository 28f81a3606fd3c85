import type { ServerResponse } from "node:http"
import type { Refusal } from "../Admission.ts"
import * as Problem from "../Problem.ts"
import type { Incoming } from "./exchange.ts"
import { http } from "./nodeHttp.ts"

/** An answer that is sent without a fiber: its body is encoded once. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly headers: ReadonlyArray<string>
}

const answer = (status: number, detail: string, more: ReadonlyArray<string> = []): Answer => {
  const problem = status === 503 ? Problem.unavailable(detail, 1) : Problem.make({ status, detail })
  return withFields(fromProblem(problem), more)
}

/** The body of a problem, without the fields that it has besides. */
export const fromProblem = (problem: Problem.Problem): Answer => {
  const body = Buffer.from(JSON.stringify(Problem.toDetails(problem)))
  const headers = ["content-type", "application/problem+json", "content-length", String(body.length)]
  return { status: problem.status, body, headers }
}

/** The same answer with more fields, by name and value in turn. */
export const withFields = ({ body, headers, status }: Answer, more: ReadonlyArray<string>): Answer => ({
  status,
  body,
  headers: [...headers, ...more]
})

export const queueFull = answer(503, "the server is overloaded; try again later")
const waitExceeded = answer(503, "the server is overloaded: no turn came in time; try again later")
const shed = answer(503, "the server is overloaded: others wait for too long; try again later")
const signalled = new Map<string, Answer>()

/** The answer to a request that the door turns away. */
export const overloaded = (reason: Refusal | "ConnectionLimit", signal: string | undefined): Answer => {
  if (reason === "WaitExceeded") return waitExceeded
  if (reason === "Shed" || reason === "Displaced") return shed
  if (signal === undefined) return queueFull
  let known = signalled.get(signal)
  if (known === undefined) {
    known = answer(503, `the server is overloaded (${signal}); try again later`)
    signalled.set(signal, known)
  }
  return known
}

export const draining = answer(503, "the server is being restarted")
export const starting = answer(503, "the server is starting; try again in a moment")
/** What of ours comes before the handler has failed. */
export const failed = answer(500, "the server failed; the failure has been logged")

/** Why a request is turned away for its head alone. */
export interface HeadRefusal {
  readonly answer: Answer
  readonly reason: "MalformedRequest" | "HeadersTooLarge" | "TargetTooLong" | "RequestTimeout" | "ExpectationFailed"
  /** Whether the connection ends with it. */
  readonly closes: boolean
}

export const badRequest: HeadRefusal = {
  answer: answer(400, "send HTTP/1.1 with exactly one valid Host header, and no transfer coding but chunked"),
  reason: "MalformedRequest",
  closes: true
}
export const longTarget: HeadRefusal = {
  answer: answer(414, "send a shorter request target"),
  reason: "TargetTooLong",
  closes: true
}
export const manyHeaders: HeadRefusal = {
  answer: answer(431, "send fewer header fields"),
  reason: "HeadersTooLarge",
  closes: true
}
export const badStream: HeadRefusal = {
  answer: answer(400, "name exactly one valid authority, and https or http as the scheme"),
  reason: "MalformedRequest",
  closes: false
}
export const tunnelRefused: HeadRefusal = {
  answer: answer(405, "this server does not tunnel", ["allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]),
  reason: "MalformedRequest",
  closes: false
}
export const expectationFailed: HeadRefusal = {
  answer: answer(417, "the only expectation that can be met is 100-continue"),
  reason: "ExpectationFailed",
  closes: false
}

/**
 * A refusal as bytes for a connection that stays open. RFC 9110 section 6.6.1 asks for no `Date` in it. Times are in seconds, and a
 * `retryAfter` of `0` is none.
 */
export const toKeptBytes = ({ body, headers, status }: Answer, retryAfter: number, keepAlive: number): Buffer => {
  const kept = keepAlive === Infinity ? [] : ["keep-alive", `timeout=${Math.floor(keepAlive)}`]
  const later = retryAfter === 0 ? [] : ["retry-after", String(retryAfter)]
  return encode(status, ["connection", "keep-alive", ...kept, ...later, ...headers], body)
}

const encode = (status: number, fields: ReadonlyArray<string>, body: Buffer): Buffer => {
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
  return Buffer.concat([Buffer.from(`${head}\r\n`), body])
}

/** The same, as bytes for a connection whose request node could not parse, or has handed over. */
export const toBytes = ({ body, headers, status }: Answer, more: ReadonlyArray<string> = []): Buffer => {
  return encode(status, ["connection", "close", ...more, ...headers], body)
}

const lastBytes = (status: number, detail: string): Buffer => toBytes(answer(status, detail))

/** A 503 as the last bytes of a connection. `retryAfter` is in seconds. */
export const unavailable = (answer: Answer, retryAfter: number): Buffer =>
  toBytes(answer, ["retry-after", String(retryAfter)])

/** The body of a request whose handler has not started came too slowly. */
export const slowBody = answer(408, "the body of the request came too slowly")

export const malformed = lastBytes(400, "this is not HTTP/1.1 as RFC 9112 has it")
export const noTunnel = toBytes(tunnelRefused.answer)
export const targetTooLong = lastBytes(414, "send a shorter request target")
export const headersTooLarge = lastBytes(431, "send smaller headers")
export const requestTimeout = lastBytes(408, "the request did not arrive in time")
/** RFC 6455 section 4.4, and RFC 9110 section 15.5.22, which asks for `Upgrade`. */
export const wrongWebSocketVersion = toBytes(answer(426, "speak version 13 of the WebSocket protocol"), [
  "upgrade",
  "websocket",
  "sec-websocket-version",
  "13"
])
export const badWebSocketKey = lastBytes(400, "send one Sec-WebSocket-Key of 16 bytes in base64")
export const halfClosed = lastBytes(400, "keep your side open for a WebSocket")
export const incomplete = lastBytes(408, "the request ended before its body did")

/** An unread body up to this size is read and dropped, so that the connection can be used again; a larger one closes it. */
const maxDroppedBody = 64 * 1024

/** Whether the connection must close because the rest of the request may be long, or may never come. */
const mustClose = (request: Incoming, awaitsContinue: boolean): boolean => {
  if (request.complete) return false
  const { headers } = request
  return awaitsContinue || "transfer-encoding" in headers || Number(headers["content-length"] ?? 0) > maxDroppedBody
}

/** Sends an answer. `retryAfter` is in seconds, `0` for none. */
export const send = (
  { body, headers, status }: Answer,
  request: Incoming,
  response: ServerResponse,
  options: { readonly retryAfter: number; readonly awaitsContinue: boolean; readonly close: () => void }
): void => {
  const all = options.retryAfter === 0 ? [...headers] : [...headers, "retry-after", String(options.retryAfter)]
  if (mustClose(request, options.awaitsContinue)) response.shouldKeepAlive = false
  if (!response.shouldKeepAlive && !request.complete) closeGently(request, response, options.close)
  response.writeHead(status, all)
  response.end(body)
}

// Node internals, read by its own `finish` listener, which runs right after ours.
interface ResponseInternals {
  _last: boolean
}

/**
 * Keeps node from destroying the socket as soon as the answer is flushed, also where the client has closed its side: whoever calls it closes
 * the connection. Node has no public way; `@effect/platform-node` does the same.
 */
export const keepSocket = (response: ServerResponse): void => {
  response.prependListener("finish", () => {
    ;(response as unknown as ResponseInternals)._last = false
  })
}

/** Closes behind an answer without a reset, which a client that is still sending would get of a destroyed socket, and before the answer. */
export const closeGently = (request: Incoming, response: ServerResponse, close: () => void): void => {
  response.prependListener("finish", () => {
    // What still comes is read and dropped until the connection's grace is over.
    request.resume()
    close()
  })
  keepSocket(response)
}
