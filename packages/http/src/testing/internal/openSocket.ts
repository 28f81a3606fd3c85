import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { ConnectFailed } from "../Target.ts"
import type { Resolved } from "../Target.ts"

export interface Options {
  /** Reads into one buffer of its own, so that never more is taken from the kernel than was asked for. */
  readonly onread?: Net.OnReadOpts | undefined
  /** Milliseconds; `Infinity` leaves it to the system. */
  readonly connectTimeout?: number | undefined
}

/** Begins to connect. Errors that nobody listens for are dropped: `close` follows each. */
export const connectSocket = ({ host, port, tls }: Resolved, { onread }: Options = {}): Net.Socket => {
  const options = { host, port, allowHalfOpen: true, noDelay: true, ...(onread && { onread }) }
  const name = Net.isIP(host) === 0 ? { servername: host } : {}
  const socket = tls === undefined ? Net.connect(options) : Tls.connect({ ...name, ...options, ...tls })
  // A socket with a buffer of its own reads as soon as it is open, unless it was paused before. TLS must read to get there.
  if (onread !== undefined && tls === undefined) socket.pause()
  return socket.on("error", () => {})
}

/** The event of a socket that is open. */
export const openEvent = ({ tls }: Resolved): "connect" | "secureConnect" =>
  tls === undefined ? "connect" : "secureConnect"

/** The system's name for an error. */
export const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : "UNKNOWN"

const untilOpen = (socket: Net.Socket, target: Resolved, timeout: number): Effect.Effect<void, ConnectFailed> =>
  Effect.callback<void, ConnectFailed>((resume) => {
    const fail = (cause: Error) => {
      socket.destroy()
      resume(Effect.fail(new ConnectFailed({ code: codeOf(cause), cause })))
    }
    const failWith = (code: string, message: string) => () => fail(Object.assign(new Error(message), { code }))
    const onEnd = failWith("ECONNRESET", "closed before it was open")
    const onTimeout = failWith("ETIMEDOUT", "not open in time")
    const stop = () => {
      socket.setTimeout(0)
      socket
        .off("error", fail)
        .off("end", onEnd)
        .off("close", onEnd)
        .off("timeout", onTimeout)
        .off(openEvent(target), onOpen)
    }
    const onOpen = () => {
      stop()
      resume(Effect.void)
    }
    if (timeout !== Infinity) socket.setTimeout(timeout, onTimeout)
    socket.on("error", fail).on("end", onEnd).on("close", onEnd).on(openEvent(target), onOpen)
    return Effect.sync(stop)
  })

/** Connects; the socket is destroyed when the scope closes. */
export const openSocket = (
  target: Resolved,
  options: Options = {}
): Effect.Effect<Net.Socket, ConnectFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => connectSocket(target, options)),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.tap((socket) => untilOpen(socket, target, options.connectTimeout ?? Infinity)))
