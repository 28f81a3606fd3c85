import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type { HttpServerError } from "effect/http/HttpServerError"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Socket from "effect/socket/Socket"
import type { Incoming } from "./exchange.ts"
import type { App } from "./guard.ts"

/**
 * An app whose WebSockets let writers wait for the peer, and whose handlers may end with the peer.
 *
 * The writer of the adapter's `Socket` hands each message to `ws` and returns at once, and `ws` queues without limit. Here it returns when
 * there is room for the message. A handler that fails because its socket was closed has not failed: nothing is logged.
 */
export const webSocketApp = (app: App): App =>
  Effect.updateService(
    Effect.catchIf(app, isSocketError, (error) =>
      Effect.flatMap(HttpServerRequest, (request) => endQuietly(error, request))
    ),
    HttpServerRequest,
    waiting
  )

const isSocketError = (error: unknown): error is Socket.SocketError => error instanceof Socket.SocketError

const endQuietly = (error: Socket.SocketError, { source }: HttpServerRequest) => {
  const webSocket = (source as Incoming).handshake?.webSocket
  // While it is open, the error is that of some other socket.
  return webSocket === undefined || webSocket.isOpen ? Effect.fail(error) : Effect.succeed(HttpServerResponse.empty())
}

type Upgrade = Effect.Effect<Socket.Socket, HttpServerError>

/** A view of the request. All else is the request's own, by the prototype. */
const waiting = (request: HttpServerRequest): HttpServerRequest => {
  const bound = (upgrade: Upgrade): Upgrade =>
    Effect.map(upgrade, (socket) => bindSocket(socket, request.source as Incoming))
  return Object.create(request, {
    upgrade: { get: () => bound(request.upgrade) },
    upgradeWith: {
      value: (options: Parameters<HttpServerRequest["upgradeWith"]>[0]) => bound(request.upgradeWith(options))
    },
    modify: { value: (options: Parameters<HttpServerRequest["modify"]>[0]) => waiting(request.modify(options)) }
  }) as HttpServerRequest
}

const bindSocket = (socket: Socket.Socket, { handshake }: Incoming): Socket.Socket =>
  Socket.make({
    reader: socket.reader,
    writer: Effect.map(socket.writer, (writer) => {
      const write: Socket.Writer["write"] = (chunk) =>
        Effect.suspend(() => {
          const webSocket = handshake?.webSocket
          // Before the handshake the adapter's writer waits for it.
          if (webSocket === undefined || Socket.isCloseEvent(chunk) || !webSocket.mustWait(chunk))
            return writer.write(chunk)
          return webSocket.sendLater(chunk)
        })
      return {
        write,
        writeAll: (chunks) =>
          Effect.suspend(() => {
            let sent = 0
            return Effect.whileLoop({
              while: () => sent < chunks.length,
              body: () => write(chunks[sent++]!),
              step: constVoid
            })
          })
      }
    })
  })
