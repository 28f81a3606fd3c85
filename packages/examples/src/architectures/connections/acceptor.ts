/** The listener of the servers that take connections one by one: it accepts, and hands over what it accepted. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ServeError } from "effect/http/HttpServerError"
import { createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { address } from "../settings.ts"
import { Stats } from "../stats/stats.ts"

/** As many as Linux lets a listener have that are not accepted yet. */
const backlog = 4096

const listening = (server: Server, host: string, port: number) =>
  Effect.callback<void, ServeError>((resume) => {
    // Later ones, such as for want of file descriptors, are of single connections.
    server.on("error", (cause) => resume(Effect.fail(new ServeError({ cause }))))
    server.listen({ host, port, backlog }, () => resume(Effect.void))
  })

const urlOf = (server: Server): string => {
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`
}

/**
 * Listens until the scope closes, and gives each connection to `onConnection`, unread. Connections that were accepted stay open when the
 * listener closes.
 */
export const listen = Effect.fnUntraced(function* (name: string, onConnection: (socket: Socket) => void) {
  const { host, port } = yield* address
  const stats = yield* Stats
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    stats.add("openConnections", 1)
    socket.once("close", () => stats.add("openConnections", -1))
    socket.on("error", () => {})
    onConnection(socket)
  })
  yield* Effect.acquireRelease(listening(server, host, port), () =>
    Effect.sync(() => {
      stats.drain()
      server.close()
    })
  )
  yield* Console.log(`${name} server is listening on ${urlOf(server)}`)
})
