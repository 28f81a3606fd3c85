/** A handler that blocks the event loop, and the line of the log that names it. */
import * as Server from "@spillway/http/Server"
import * as EventLoop from "@spillway/runtime/EventLoop"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

/** Work that should not be on the event loop. */
const countPrimes = (limit: number): number => {
  let primes = 0
  for (let n = 2; n <= limit; n++) {
    let divisor = 2
    while (divisor * divisor <= n && n % divisor !== 0) divisor++
    if (divisor * divisor > n) primes++
  }
  return primes
}

// #region server
// GET /primes computes on the event loop, and a line of the log says so: how long, and which route.
const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("Hello!")),
  HttpRouter.add(
    "GET",
    "/primes",
    Effect.sync(() => HttpServerResponse.text(`${countPrimes(2_000_000)}`))
  )
)

/** The server. */
export const program = HttpRouter.serve(routes).pipe(
  Layer.provide(Server.layer({ port: Number(process.env.PORT ?? 3000) })),
  Layer.provide(EventLoop.EventLoop.layer({ stack: process.env.STACK === "true" })),
  Layer.launch
)
// #endregion

if (import.meta.main) Main.run(program)
