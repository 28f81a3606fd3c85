import { once } from "node:events"
import { createServer as createHttp } from "node:http"
import type { RequestListener, Server } from "node:http"
import { createServer as createHttps } from "node:https"
import { createServer as createTcp } from "node:net"
import type { AddressInfo, Server as NetServer, Socket } from "node:net"
import { Effect } from "effect"
import type { Scope } from "effect"

/** A server of known behaviour, independent of ours. */
export interface Known {
  readonly port: number
  readonly url: string
  /** Sockets that are open on the server's side. */
  readonly sockets: ReadonlySet<Socket>
}

const listening = (make: () => NetServer): Effect.Effect<Known, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = make()
      const sockets = new Set<Socket>()
      server.on("connection", (socket: Socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
      })
      await once(server.listen(0, "127.0.0.1"), "listening")
      const { port } = server.address() as AddressInfo
      return { server, sockets, port, url: `http://127.0.0.1:${port}` }
    }),
    ({ server, sockets }) =>
      Effect.promise(async () => {
        const closed = once(server, "close")
        server.close()
        for (const socket of sockets) socket.destroy()
        await closed
      })
  )

/** A server of connections. */
export const tcp = (onConnection: (socket: Socket) => void) =>
  listening(() => createTcp({ allowHalfOpen: true }, onConnection))

/** A plain `node:http` server. */
export const http = (onRequest: RequestListener, configure: (server: Server) => void = () => {}) =>
  listening(() => {
    const server = createHttp({ connectionsCheckingInterval: 50 }, onRequest)
    configure(server)
    return server
  })

/** Of a certificate that nobody trusts. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0zycoOoB0ep9OPab
Lbp+DfFi0TtudNGdjoaWlDJC+mahRANCAARIwBujDJCvVCr3M5FJywxTDWxaQOMB
i0hIf5sv0zjLobv5zMRYC+kKVeUm1DhT3hiwwFZKeqC0awHhPPDEQm9K
-----END PRIVATE KEY-----`

const cert = `-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUbGFZFC5HMM3G6t2Air65c0lcQqowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTEwMTczOFoYDzIxMjYxMDI4
MTAxNzM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARIwBujDJCvVCr3M5FJywxTDWxaQOMBi0hIf5sv0zjLobv5zMRYC+kK
VeUm1DhT3hiwwFZKeqC0awHhPPDEQm9Ko1MwUTAdBgNVHQ4EFgQUpagAXoR3GXsv
CwSJVjdWpwKDN14wHwYDVR0jBBgwFoAUpagAXoR3GXsvCwSJVjdWpwKDN14wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAuvm/oaA21oT8RsT5KxXz
TpHrEF9t6ct8UofvXmxqrhQCIQDiQambQfNfkKdKzvPdkUtRhl9wdq8ezqmjbiPc
/XgglQ==
-----END CERTIFICATE-----`

/** A plain `node:https` server. */
export const https = (onRequest: RequestListener) => listening(() => createHttps({ key, cert }, onRequest))

/** A port that nobody listens on. */
export const nobody: Effect.Effect<Known> = Effect.scoped(tcp(() => {}))
