import type { ServerResponse } from "node:http"
import * as Problem from "../Problem.ts"
import type { Incoming } from "./exchange.ts"
import { http } from "./nodeHttp.ts"

/** An answer that is sent without a fiber: its body is encoded once. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly headers: ReadonlyArray<string>
}

const answer = (status: number, detail: string): Answer => {
  const problem = status === 503 ? Problem.unavailable(detail, 1) : Problem.make({ status, detail })
  const body = Buffer.from(JSON.stringify(Problem.toDetails(problem)))
  return { status, body, headers: ["content-type", "application/problem+json", "content-length", String(body.length)] }
}

export const queueFull = answer(503, "the server is overloaded; try again later")
export const waitExceeded = answer(503, "the server is overloaded: no turn came in time; try again later")
export const starting = answer(503, "the server is starting; try again in a moment")
export const badRequest = answer(400, "send HTTP/1.1 with exactly one valid Host header")

/** The same, as bytes for a connection whose request node could not parse. */
const lastBytes = (status: number, detail: string, retryAfter?: number): Buffer => {
  const { body, headers } = answer(status, detail)
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nconnection: close\r\n`
  if (retryAfter !== undefined) head += `retry-after: ${retryAfter}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  return Buffer.concat([Buffer.from(`${head}\r\n`), body])
}

export const malformed = lastBytes(400, "this is not HTTP/1.1 as RFC 9112 has it")
export const overloaded = lastBytes(503, "the server is overloaded; try again later", 1)
export const headersTooLarge = lastBytes(431, "send smaller headers")
export const requestTimeout = lastBytes(408, "the request did not arrive in time")
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
  options: { readonly retryAfter: number; readonly awaitsContinue: boolean; readonly close?: (() => void) | undefined }
): void => {
  const all = options.retryAfter === 0 ? [...headers] : [...headers, "retry-after", String(options.retryAfter)]
  if (options.close !== undefined && mustClose(request, options.awaitsContinue)) {
    all.push("connection", "close")
    closeGently(request, response, options.close)
  }
  response.writeHead(status, all)
  response.end(body)
}

// Node internals, read by its own `finish` listener, which runs right after ours.
interface ResponseInternals {
  _last: boolean
}

/**
 * Keeps node from destroying the socket as soon as the answer is flushed: that resets a client that is still sending, and the reset
 * can overtake the answer. Node has no public way; `@effect/platform-node` does the same.
 */
const closeGently = (request: Incoming, response: ServerResponse, close: () => void): void => {
  response.prependListener("finish", () => {
    ;(response as unknown as ResponseInternals)._last = false
    // What still comes is read and dropped until the connection's grace is over.
    request.resume()
    close()
  })
}
