import { Server } from "@spillway/http"
import type { RawClient } from "@spillway/http/testing"
import type { Drain } from "@spillway/runtime/Drain"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServer } from "effect/http"

export interface Running extends RawClient.Target {
  readonly port: number
  readonly url: (path: string) => string
  readonly stats: Effect.Effect<Server.Stats>
  readonly connections: Effect.Effect<ReadonlyArray<Server.ConnectionInfo>>
  /** Closes the server as SIGTERM does; waits until it is gone. */
  readonly stop: Effect.Effect<void>
}

/** Starts a server that ends with the scope. */
export const start = <E>(
  app: Layer.Layer<never, E, Server.Provided | Drain>,
  options: Partial<Server.Options> = {}
): Effect.Effect<Running, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const layer = app.pipe(Layer.provideMerge(Server.layer({ port: 0, drainTimeout: 200, ...options })))
    const context = yield* Layer.buildWithScope(layer, scope)
    const { address } = Context.get(context, HttpServer.HttpServer)
    if (address._tag !== "InetAddressV4") return yield* Effect.die("no IPv4 address")
    const { port } = address
    return {
      port,
      url: (path) => `http://127.0.0.1:${port}${path}`,
      ...Context.get(context, Server.ServerStatus),
      stop: Scope.close(scope, Exit.void)
    }
  })

export const router = <E, R>(routes: Layer.Layer<never, E, R>) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** One request by fetch. Interruption aborts it. */
export const get = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return { status: response.status, headers: response.headers, body: await response.text() }
  })

export const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

/** Fails the test if an event does not come. */
export const soon = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.timeoutOrElse(self, { duration: "10 seconds", orElse: () => Effect.die("it did not happen within 10 s") })

/** Waits until the server is in a state: polled, since nobody tells. */
export const until = <E>(
  { stats }: { readonly stats: Effect.Effect<Server.Stats, E> },
  reached: (stats: Server.Stats) => boolean
): Effect.Effect<Server.Stats, E> =>
  soon(
    Effect.repeat(
      Effect.tap(stats, () => Effect.sleep(2)),
      { until: reached }
    )
  )

export const getRequest = (path: string, headers = ""): string => `GET ${path} HTTP/1.1\r\nHost: test\r\n${headers}\r\n`

/** A WebSocket handshake with the key of RFC 6455 section 1.3. */
export const handshake = (path: string): string =>
  getRequest(
    path,
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
  )
