import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"

export interface Target {
  readonly port: number
  /** @default "127.0.0.1" */
  readonly host?: string | undefined
}

export class ConnectFailed extends Schema.TaggedError<ConnectFailed>("@spillway/http/testing/RawClient/ConnectFailed")(
  "ConnectFailed",
  { cause: Schema.Defect() }
) {
  override get message() {
    return "the client could not connect"
  }
}

/** Connects; the socket is destroyed when the scope closes. */
export const openSocket = (target: Target): Effect.Effect<Net.Socket, ConnectFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, ConnectFailed>((resume) => {
      const socket = Net.connect({ port: target.port, host: target.host ?? "127.0.0.1", allowHalfOpen: true })
      const onError = (cause: Error) => resume(Effect.fail(new ConnectFailed({ cause })))
      socket.once("error", onError)
      socket.once("connect", () => {
        socket.off("error", onError)
        // Later errors are resets: whoever reads is told of the end.
        socket.on("error", () => {})
        resume(Effect.succeed(socket))
      })
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
