import { isHttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"

/** What node, undici and the resolver say when there was no connection: the server has not seen a byte. */
const unconnected = new Set(["ECONNREFUSED", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"])

/** What they say of a connection that ended before the answer; some of them also of one that never was. */
const ended = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_SOCKET"
])

/**
 * Why a request of a client has no answer: it was never sent, its connection was lost, or its response is what the client took for an
 * error. Anything else is `undefined`: faults of the request, of certificates, of the program.
 */
export const faultOf = (error: unknown): "unsent" | "lost" | HttpClientResponse | undefined => {
  if (!isHttpClientError(error)) return undefined
  const { reason } = error
  if (reason._tag === "StatusCodeError") return reason.response
  return reason._tag === "TransportError" ? kindOf(reason.cause, 4) : undefined
}

/** `fetch` wraps the fault into another error. */
const kindOf = (fault: unknown, depth: number): "unsent" | "lost" | undefined => {
  if (!Predicate.isObject(fault) || depth === 0) return undefined
  const { cause, code, syscall } = fault as { readonly [_ in "cause" | "code" | "syscall"]?: unknown }
  if (typeof code === "string") {
    if (unconnected.has(code)) return "unsent"
    if (ended.has(code)) return syscall === "connect" ? "unsent" : "lost"
  }
  return kindOf(cause, depth - 1)
}
