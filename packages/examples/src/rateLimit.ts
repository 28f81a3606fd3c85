/** Quotas: 5 requests at once and 2 a second for each client; with `REDIS_URL`, one for all machines. */
import * as RateLimit from "@spillway/http/RateLimit"
import * as RateLimitRedis from "@spillway/http/RateLimitRedis"
import * as RateLimitShared from "@spillway/http/RateLimitShared"
import * as Server from "@spillway/http/Server"
import * as ServerRateLimit from "@spillway/http/ServerRateLimit"
import * as Main from "@spillway/runtime/Main"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const { PORT = "3000", REDIS_URL } = process.env

// #region limit
const perClient = [
  { name: "second", limit: 2, burst: 5 },
  { name: "day", limit: 10_000, window: "1 day" }
] as const

// Without a key, or with one that nobody gave out, a client is its address.
const customers = new Set(["a key that you gave out"])
const trustedProxies = ["10.0.0.0/8"]

/** Judged by the head of a request, before the door: 429 and RateLimit fields. */
const rateLimit: ServerRateLimit.Options = {
  limit: RateLimit.make(perClient),
  key: ServerRateLimit.byApiKey({ isKnown: customers }),
  skip: ({ url }) => url === "/"
}
// #endregion

// #region shared
// The server knows the proxies: addresses are those behind them.
const client = RateLimit.apiKey({ isKnown: (key) => customers.has(key) })

/** One quota for all machines. While Redis is away each machine applies the policies by itself. */
const shared = (url: string) =>
  RateLimitShared.make(perClient, { onUnavailable: "local" }).pipe(
    Effect.map((limit) => RateLimit.middleware(limit, { key: client }).layer),
    Layer.unwrap,
    Layer.provide(RateLimitRedis.layer({ url }))
  )
// #endregion

const search = HttpRouter.add("GET", "/search", HttpServerResponse.text("results"))
const routes = Layer.mergeAll(
  REDIS_URL === undefined ? search : Layer.provide(search, shared(REDIS_URL)),
  HttpRouter.add("GET", "/", HttpServerResponse.text("free"))
)

const server = Server.layer({
  port: Number(PORT),
  trustedProxies,
  rateLimit: REDIS_URL === undefined ? rateLimit : undefined
})

/** The server. */
export const program = Layer.launch(Layer.provide(HttpRouter.serve(routes), server))

if (import.meta.main) Main.run(program)
