import type { Server, ServerConfig } from "@spillway/http"
import type { Drain } from "@spillway/runtime/Drain"
import { Deferred, Effect, type Layer, type Scope } from "effect"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import { fileURLToPath } from "node:url"
import { soon, start } from "./fixture.ts"
import type { Running } from "./fixture.ts"

const path = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))

export const tls: ServerConfig.Tls = {
  keyFile: path("tls-test-only.key.pem"),
  certFile: path("tls-test-only.cert.pem")
}
export const otherTls: ServerConfig.Tls = {
  keyFile: path("tls-test-only-2.key.pem"),
  certFile: path("tls-test-only-2.cert.pem")
}
export const certFile = tls.certFile!
export const ca = readFileSync(certFile)

export interface RunningSecurely extends Running {
  readonly origin: string
}

/** Starts a server with TLS that ends with the scope. */
export const startSecurely = <E>(
  app: Layer.Layer<never, E, Server.Provided | Drain>,
  options: Partial<Server.Options> = {}
): Effect.Effect<RunningSecurely, unknown, Scope.Scope> =>
  Effect.map(start(app, { tls, ...options }), (running) => {
    const origin = `https://localhost:${running.port}`
    return { ...running, origin, url: (path) => `${origin}${path}` }
  })

export interface Session {
  readonly raw: Http2.ClientHttp2Session
  readonly request: (headers: Http2.OutgoingHttpHeaders, body?: string | Uint8Array) => Effect.Effect<StreamAnswer>
  /** The code of the GOAWAY that the server sent, and its last stream. */
  readonly goaway: Deferred.Deferred<{ readonly code: number; readonly lastStream: number }>
  readonly closed: Deferred.Deferred<void>
}

export interface StreamAnswer {
  readonly status: number | undefined
  readonly headers: Http2.IncomingHttpHeaders
  readonly body: string
  /** The code with which the stream ended: 0 unless it was reset. */
  readonly code: number
}

/** Opens a session by node's own client. */
export const connect = (
  { origin }: { readonly origin: string },
  options: Http2.SecureClientSessionOptions = {}
): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.gen(function* () {
    const goaway = Deferred.makeUnsafe<{ readonly code: number; readonly lastStream: number }>()
    const closed = Deferred.makeUnsafe<void>()
    const raw = yield* Effect.acquireRelease(
      Effect.sync(() => Http2.connect(origin, { ca, ...options })),
      (raw) => Effect.sync(() => raw.destroy())
    )
    raw.on("error", () => {})
    raw.on("goaway", (code, lastStream) => void Deferred.doneUnsafe(goaway, Effect.succeed({ code, lastStream })))
    raw.on("close", () => void Deferred.doneUnsafe(closed, Effect.void))
    yield* soon(Effect.callback<void>((resume) => void raw.once("remoteSettings", () => resume(Effect.void))))
    return { raw, request: (headers, body) => send(raw, headers, body), goaway, closed }
  })

const send = (
  session: Http2.ClientHttp2Session,
  headers: Http2.OutgoingHttpHeaders,
  body: string | Uint8Array | undefined
): Effect.Effect<StreamAnswer> =>
  Effect.callback<StreamAnswer>((resume) => {
    const stream = session.request(headers, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    read(stream, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(() => stream.close(Http2.constants.NGHTTP2_CANCEL))
  })

/** Reads a response until its stream has closed. */
export const read = (stream: Http2.ClientHttp2Stream, done: (answer: StreamAnswer) => void): void => {
  let headers: Http2.IncomingHttpHeaders = {}
  let body = ""
  stream.setEncoding("latin1")
  stream.on("response", (received) => {
    headers = received
  })
  stream.on("data", (chunk: string) => {
    body += chunk
  })
  stream.on("error", () => {})
  stream.on("close", () =>
    done({ status: headers[":status"] as number | undefined, headers, body, code: stream.rstCode })
  )
}
