/** From how a call of Effect RPC failed to how its task did. What matters to the caller is whether the task may have run. */
import * as Cause from "effect/Cause"
import { RpcClientError } from "effect/rpc/RpcClientError"
import { isSocketError } from "effect/socket/Socket"
import { Disconnected, OffloadDefect, Unavailable } from "../../OffloadError.ts"
import type { Fault } from "../../OffloadError.ts"
import { withoutStack } from "../withoutStack.ts"
import { offloadError, toError } from "./outcome.ts"
import { RemoteDefect } from "./rpcWire.ts"

/** The connection was known to be down, so the request was not sent. */
export class NotSent {
  readonly error: RpcClientError
  constructor(error: RpcClientError) {
    this.error = error
  }
}

/** What a task ends with whose call has failed. The caller has not interrupted it. */
export const toTaskCause = (task: string, cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const fail = (reason: () => Unavailable | Disconnected) => Cause.fail(offloadError(task, reason))
  const unreachable = (error: Fault) => fail(() => new Unavailable({ why: "Unreachable", error }))
  const disconnected = (error: Fault) => fail(() => new Disconnected({ error }))
  const die = (cause: unknown) => Cause.die(withoutStack(() => new OffloadDefect({ task, cause })))
  if (Cause.hasInterruptsOnly(cause)) return disconnected({ name: "Interrupted", message: "the server has stopped" })
  const error = Cause.squash(cause)
  if (error instanceof NotSent) return unreachable(toFault(error.error))
  if (error instanceof RpcClientError)
    return neverSent(error.reason) ? unreachable(toFault(error)) : disconnected(toFault(error))
  if (error instanceof RemoteDefect) return die(toError({ stack: undefined, ...error.error }))
  if (!Cause.hasDies(cause)) return cause
  // A socket that breaks while it is written to.
  return isSocketError(error) ? disconnected(toFault(error)) : die(error)
}

/** Codes of Node.js and of undici for a connection that did not come about. */
const noConnection = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EACCES",
  "ENOENT",
  "UND_ERR_CONNECT_TIMEOUT"
])

const neverSent = (reason: RpcClientError["reason"]): boolean => {
  switch (reason._tag) {
    case "SocketOpenError":
    case "WorkerSpawnError":
      return true
    case "HttpError":
      return httpNeverSent(reason.kind, reason.cause)
    default:
      return false
  }
}

const httpNeverSent = (kind: string, cause: unknown): boolean => {
  switch (kind) {
    case "EncodeError":
    case "InvalidUrlError":
      return true
    case "TransportError":
      return chainOf(cause).some(({ code }) => typeof code === "string" && noConnection.has(code))
    case "StatusCodeError":
      // Not so the others: a server that stops answers 503 to what it runs, a proxy 502 or 504 to what it has passed on.
      return (cause as { readonly response: { readonly status: number } }).response.status < 500
    default:
      return false
  }
}

/** The innermost error says the most. */
const toFault = (error: RpcClientError | { readonly reason: unknown }): Fault => {
  const chain = chainOf(error.reason)
  const { message, name } = chain.findLast((one) => typeof one.message === "string" && one.message !== "") ?? {}
  return { name: typeof name === "string" ? name : "Error", message: String(message ?? "unknown") }
}

type ErrorLike = Readonly<Partial<Record<"name" | "message" | "code" | "cause", unknown>>>

/** How far causes are followed: they may form a circle. */
const maxCauses = 8

const chainOf = (u: unknown): ReadonlyArray<ErrorLike> => {
  const chain: Array<ErrorLike> = []
  for (
    let one = u;
    typeof one === "object" && one !== null && chain.length < maxCauses;
    one = (one as ErrorLike).cause
  ) {
    chain.push(one as ErrorLike)
  }
  return chain
}
