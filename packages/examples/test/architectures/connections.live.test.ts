import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Deferred, Duration, Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { MessageChannel } from "node:worker_threads"
import { listen } from "@spillway/examples/architectures/connections/acceptor"
import * as BlockingServer from "@spillway/examples/architectures/connections/blockingServer"
import { carry, PortDuplex } from "@spillway/examples/architectures/connections/portDuplex"
import { share, Stats } from "@spillway/examples/architectures/stats/stats"
import { silent } from "./support.ts"

/** As the blocking servers accept: both ends of a connection. */
const connection = Effect.gen(function* () {
  const accepted = yield* Deferred.make<Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
        Deferred.doneUnsafe(accepted, Effect.succeed(socket))
      ).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )
  const [client] = yield* silent(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 1)
  return { client: client!, socket: yield* Deferred.await(accepted) }
})

/** How long a request may take, and a client to take a part of the answer. */
const patience = 1000

/** More than the buffers of a connection hold. */
const large = Effect.succeed(HttpServerResponse.uint8Array(new Uint8Array(64 * 1024 ** 2)))

describe("BlockingServer", () => {
  for (const [where, serveOn] of [
    ["on its own thread", (serve: BlockingServer.Serve, socket: Socket) => serve(socket)],
    [
      "behind a port",
      (serve: BlockingServer.Serve, socket: Socket) =>
        Effect.suspend(() => {
          const { port1, port2 } = new MessageChannel()
          carry(socket, port1, patience)
          return serve(new PortDuplex(port2))
        })
    ]
  ] as const) {
    it.live(`gives up a client that does not read its answer, ${where}`, () =>
      Effect.gen(function* () {
        const serve = yield* BlockingServer.make(large, Duration.millis(patience))
        const { client, socket } = yield* connection
        client.pause()
        client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        const [took] = yield* Effect.timed(Effect.timeout(serveOn(serve, socket), "20 seconds"))
        assert.isAtLeast(Duration.toMillis(took), patience - 100)
        assert.isTrue(socket.destroyed)
      })
    )
  }
})

describe("carry", () => {
  it.live("sends the last bytes of a thread that has closed its port, however slowly they are read", () =>
    Effect.gen(function* () {
      const { client, socket } = yield* connection
      const { port1, port2 } = new MessageChannel()
      carry(socket, port1, 10 * patience)
      client.pause()
      // More than the buffers of a connection hold.
      const sent = 16 * 1024 ** 2
      port2.postMessage(new Uint8Array(sent))
      port2.close()
      yield* Effect.promise(() => once(port2, "close"))
      yield* Effect.sleep("100 millis")
      let received = 0
      client.on("data", (bytes) => (received += bytes.length)).resume()
      yield* Effect.timeout(
        Effect.promise(() => once(client, "close")),
        "10 seconds"
      )
      assert.strictEqual(received, sent)
    })
  )
})

describe("listen", () => {
  /** Every listener of this process that is made meanwhile. */
  const listeners = Effect.acquireRelease(
    Effect.sync(() => {
      const servers: Array<Server> = []
      const add = (message: unknown) => servers.push((message as { readonly server: Server }).server)
      subscribe("tracing:net.server.listen:asyncStart", add)
      return { add, servers }
    }),
    ({ add }) => Effect.sync(() => unsubscribe("tracing:net.server.listen:asyncStart", add))
  ).pipe(Effect.map(({ servers }) => servers))

  it.live("goes on when one connection can not be accepted", () =>
    Effect.gen(function* () {
      const servers = yield* listeners
      const accepted = yield* Deferred.make<void>()
      yield* listen("test", (socket) => {
        Deferred.doneUnsafe(accepted, Effect.void)
        socket.destroy()
      })
      const [server] = servers
      // As node does when the system refuses it.
      for (let i = 0; i < 2; i++) server!.emit("error", Object.assign(new Error("accept ENFILE"), { code: "ENFILE" }))
      yield* Effect.acquireRelease(
        Effect.sync(() => connect((server!.address() as AddressInfo).port, "127.0.0.1").on("error", () => {})),
        (client) => Effect.sync(() => client.destroy())
      )
      yield* Effect.timeout(Deferred.await(accepted), "5 seconds")
    }).pipe(
      Effect.provide(Stats.layer(share(1))),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ PORT: 0 }))
    )
  )
})
