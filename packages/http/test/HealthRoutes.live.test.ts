import { HealthRoutes } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Health } from "@spillway/runtime"
import { Effect, Fiber, Layer, Metric, Ref } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, router, soon, start } from "./fixture.ts"

describe("HealthRoutes", () => {
  it.live("answers alive always, ready only while every check succeeds", () =>
    Effect.gen(function* () {
      const healthy = yield* Ref.make(true)
      const database = Effect.flatMap(Ref.get(healthy), (up) => (up ? Effect.void : Effect.fail("secret")))
      const health = Health.Health.layer({ checks: { database, disk: Effect.void }, reuse: 0 })
      const server = yield* start(router(HealthRoutes.layer.pipe(Layer.provide(health))))
      const ready = yield* get(server.url("/readyz"))
      assert.deepStrictEqual(
        [ready.status, JSON.parse(ready.body)],
        [200, { status: "ready", phase: "ready", checks: { database: "healthy", disk: "healthy" } }]
      )
      yield* Ref.set(healthy, false)
      const unready = yield* get(server.url("/readyz"))
      assert.deepStrictEqual(
        [unready.status, JSON.parse(unready.body)],
        [503, { status: "unavailable", phase: "ready", checks: { database: "unhealthy", disk: "healthy" } }]
      )
      assert.strictEqual((yield* get(server.url("/livez"))).status, 200)
    })
  )

  it.live("is not ready, and alive, while draining", () =>
    Effect.gen(function* () {
      const server = yield* start(router(HealthRoutes.layerNoChecks), { preStop: 300 })
      const stopping = yield* Effect.forkChild(server.stop, { startImmediately: true })
      const answer = yield* get(server.url("/readyz"))
      assert.deepStrictEqual([answer.status, JSON.parse(answer.body).phase], [503, "draining"])
      assert.strictEqual((yield* get(server.url("/livez"))).status, 200)
      yield* soon(Fiber.join(stopping))
    })
  )

  it.live("shows the metrics of the server as Prometheus text", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        HealthRoutes.layerNoChecks,
        HttpRouter.add("GET", "/users/:id", HttpServerResponse.text("ok"))
      )
      const server = yield* start(router(routes))
      yield* get(server.url("/users/7"))
      yield* get(server.url("/nowhere"))
      const { body, headers } = yield* get(server.url("/metrics"))
      assert.include(headers.get("content-type")!, "text/plain; version=0.0.4")
      assert.include(body, 'http_server_request_duration_seconds_count{method="GET",route="/users/:id",status="200"} 1')
      assert.include(body, 'http_server_request_duration_seconds_count{method="GET",route="",status="404"}')
      assert.match(body, /^http_server_active_requests 0$/m)
      assert.match(body, /^spillway_http_connections\{state="idle"\} \d+$/m)
      assert.notInclude(body, "/users/7")
    })
  )

  it.live("puts the metrics into words a tenth of the time, however often somebody asks", () =>
    Effect.gen(function* () {
      // Some milliseconds of words.
      for (let i = 0; i < 1000; i++) {
        yield* Metric.update(Metric.counter("health_routes_test", { attributes: { i: String(i) } }), 1)
      }
      const asked = Metric.counter("health_routes_test_asked")
      const server = yield* start(router(HealthRoutes.layerNoChecks))
      const ask = Effect.gen(function* () {
        yield* Metric.update(asked, 1)
        const { body } = yield* get(server.url("/metrics"))
        return /^health_routes_test_asked (\d+)$/m.exec(body)![1]
      })
      assert.strictEqual(yield* ask, "1")
      assert.strictEqual(yield* ask, "2")
      const told = new Set<string>()
      for (let i = 0; i < 600; i++) told.add((yield* ask)!)
      assert.isBelow(told.size, 300)
    })
  )
})
