/**
 * Servers that do one more thing each of what MetricStream does for a request: `node servers.ts socket | http | json`. What one costs more than
 * the one before it is what that thing costs, on a real socket, with all that the system does for it.
 *
 * `socket` reads the bytes and writes those of the answer; `http` is `node:http` with the body read; `json` is Spillway's server with a route that
 * decodes the body as JSON of any shape. Prints its URL. `socket` tells over IPC how much of its CPU time its writes took.
 */
import { createServer as createHttpServer } from "node:http"
import { createServer } from "node:net"
import type { AddressInfo, Server as NetServer } from "node:net"
import * as JsonBody from "@spillway/http/JsonBody"
import * as Server from "@spillway/http/Server"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"

const body = '{"accepted":1}'
const headers = { "content-type": "application/json", "content-length": String(body.length) }

/** What MetricStream answers, byte for byte but for the date. */
const answer = Buffer.from(
  `HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n` +
    `Date: ${new Date().toUTCString()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n${body}`
)

const listen = (server: NetServer) =>
  server.listen(0, "127.0.0.1", () => {
    console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    process.once("SIGTERM", () => process.exit(0))
  })

const startSocket = () => {
  let [micros, writes] = [0, 0]
  process.on("message", () => process.send!({ micros, writes }))
  listen(
    createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy())
      socket.on("data", (chunk) => {
        // The load sends small objects, one at a time on each connection.
        if (chunk.at(-1) !== 0x7d) return
        const before = process.threadCpuUsage()
        socket.write(answer)
        const { system, user } = process.threadCpuUsage(before)
        micros += system + user
        writes++
      })
    })
  )
}

const startHttp = () =>
  listen(
    createHttpServer((request, response) => {
      request.resume().once("end", () => response.writeHead(202, headers).end(body))
    })
  )

const startJson = () => {
  const accepted = HttpServerResponse.jsonUnsafe({ accepted: 1 }, { status: 202 })
  const routes = HttpRouter.add("POST", "/events", Effect.as(JsonBody.decode(Schema.Unknown), accepted))
  const announce = Layer.effectDiscard(HttpServer.addressFormattedWith((url) => Console.log(url)))
  const app = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })
  Layer.mergeAll(app, announce).pipe(Layer.provide(Server.layer({ port: 0 })), Layer.launch, Main.run)
}

const servers: Readonly<Record<string, () => void>> = { socket: startSocket, http: startHttp, json: startJson }
servers[process.argv[2] ?? ""]?.()
