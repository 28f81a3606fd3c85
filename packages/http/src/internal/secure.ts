import * as Effect from "effect/Effect"
import { ServeError } from "effect/http/HttpServerError"
import { readFile } from "node:fs/promises"
import type { SecureContextOptions, Server as TlsServer, TLSSocket } from "node:tls"
import type { Tls } from "../ServerConfig.ts"
import { Connection } from "./connection.ts"
import type { ConnectionState } from "./connection.ts"
import type { Dispatcher } from "./dispatcher.ts"
import * as socketState from "./socketState.ts"
import type { NodeServer } from "./outgoing.ts"

const { createServer } = process.getBuiltinModule("node:tls")

/** Node sets a timer for each handshake; ours are bounded by the sweep. It takes 0 for its own default, and no more than this. */
const handshakeTimeout = 2 ** 31 - 1

/** A listener with TLS, and how to give it another certificate. */
export interface Secure {
  readonly listener: TlsServer
  /** Reads the files again, or takes what is given. Connections that are open keep what they have. */
  readonly renew: (tls: Tls | undefined) => Effect.Effect<void, ServeError>
}

/**
 * Makes the listener of a server with TLS. What the handshake chooses is spoken by `server`, which does not listen itself, or by
 * `Http2Connection`.
 */
export const make = Effect.fnUntraced(function* (dispatcher: Dispatcher, server: NodeServer, tls: Tls) {
  const { connections, options } = dispatcher
  const speakHttp2 = options.http2 ? yield* Effect.promise(() => import("./http2/connection.ts")) : undefined
  const first = yield* readContext(tls)
  const listener = yield* attempt("tls", () =>
    createServer({
      ...first,
      requestCert: tls.requestCert ?? false,
      rejectUnauthorized: tls.rejectUnauthorized ?? true,
      ALPNProtocols: options.http2 ? ["h2", "http/1.1"] : ["http/1.1"],
      handshakeTimeout,
      // As for `node:http`: a client may close its side and wait for the answer.
      allowHalfOpen: true,
      noDelay: true
    })
  )
  connections.open = (socket) => new TlsHandshake(socket, connections, connections.now())
  listener.on("secureConnection", (socket: TLSSocket) => {
    const handshake = connections.all.get(socketState.transportOf(socket))
    if (handshake === undefined || handshake.closing) return void socket.destroy()
    const isHttp2 = speakHttp2 !== undefined && socket.alpnProtocol === "h2"
    connections.secured(
      handshake,
      isHttp2
        ? new speakHttp2.Http2Connection(socket, dispatcher)
        : new Connection(socket, connections, connections.now())
    )
    if (!isHttp2) server.emit("connection", socket)
  })
  // Bytes that are not TLS, old versions, scanners: node has closed the connection.
  listener.on("tlsClientError", () => connections.evicted("Tls"))
  const secure: Secure = {
    listener,
    renew: (next) =>
      Effect.flatMap(readContext(next ?? tls), (context) => attempt("tls", () => listener.setSecureContext(context)))
  }
  return secure
})

const attempt = <A>(what: string, evaluate: () => A): Effect.Effect<A, ServeError> =>
  Effect.try({ try: evaluate, catch: (cause) => failure(`${what} is not usable`, cause) })

const failure = (what: string, cause: unknown): ServeError =>
  new ServeError({
    cause: new Error(`Server.layer: ${what}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  })

/** What node takes, with the contents of the files. */
const readContext = (tls: Tls): Effect.Effect<SecureContextOptions, ServeError> => {
  const { certFile, keyFile, ...context } = tls
  return Effect.map(
    Effect.all({ key: readPem("tls.keyFile", keyFile), cert: readPem("tls.certFile", certFile) }),
    ({ cert, key }) => ({
      minVersion: "TLSv1.2",
      ...context,
      ...(key === undefined ? {} : { key }),
      ...(cert === undefined ? {} : { cert })
    })
  )
}

const readPem = (field: string, path: string | undefined): Effect.Effect<Buffer | undefined, ServeError> =>
  path === undefined
    ? Effect.succeed(undefined)
    : Effect.tryPromise({ try: () => readFile(path), catch: (cause) => failure(`${field} can not be read`, cause) })

/** The record of a connection until its handshake is done. Nothing that is written to its socket would be understood. */
class TlsHandshake extends Connection {
  override get state(): ConnectionState {
    return "new"
  }

  override close(): void {
    this.closing = true
    this.socket.destroy()
  }

  override closeQuietly(): void {
    this.close()
  }
}
