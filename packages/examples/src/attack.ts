/** Attacks a server from all sides and says how a client that behaves fares meanwhile. `TARGET=http://…` attacks another server. */
import * as Server from "@spillway/http/Server"
import * as Attack from "@spillway/http/testing/Attack"
import * as OpenLoop from "@spillway/http/testing/OpenLoop"
import * as SilentClient from "@spillway/http/testing/SilentClient"
import * as SlowHeaders from "@spillway/http/testing/SlowHeaders"
import * as SlowReader from "@spillway/http/testing/SlowReader"
import * as Main from "@spillway/runtime/Main"
import { Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"

// #region attack
/** Three attacks at once, and a client that sends 100 requests a second and waits two seconds for each. */
export const attack = (url: string) => {
  const options = { connections: 50, duration: "4 seconds" } as const
  const attacks = Effect.all(
    {
      silent: SilentClient.run(url, options),
      slowHeaders: SlowHeaders.run(url, options),
      slowReaders: SlowReader.run(`${url}/large`, { ...options, connections: 10 })
    },
    { concurrency: "unbounded" }
  )
  return OpenLoop.during(attacks, url, { rate: 100, arrivals: "poisson", patience: "2 seconds" })
}
// #endregion

const large = HttpServerResponse.uint8Array(new Uint8Array(16 * 1_048_576))

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("Hello!")),
  HttpRouter.add("GET", "/large", large)
)

const victim = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(Server.layer({ port: 0, headersTimeout: "1 second", drainTimeout: "1 second" }))
)

const report = Effect.fnUntraced(function* (url: string) {
  const { load, result } = yield* attack(url)
  for (const [name, attacked] of Object.entries(result)) yield* Console.log(`${name}: ${Attack.format(attacked)}`)
  yield* Console.log(`client that behaves: ${OpenLoop.format(load)}`)
  return { load, ...result }
})

/** Attacks `TARGET`, or a server of its own that gives headers a second, and prints the reports. */
export const program =
  process.env.TARGET === undefined
    ? Effect.provide(HttpServer.addressFormattedWith(report), victim)
    : report(process.env.TARGET)

if (import.meta.main) Main.run(program)
