import { Problem, RateLimit } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { get, json, router, start } from "./fixture.ts"
import type { Answer } from "./fixture.ts"

const slow = { limit: 1, window: "1 hour" } as const
const ok = HttpServerResponse.text("ok")

const fields = ({ headers }: Answer) => [headers.get("ratelimit"), headers.get("ratelimit-policy")]

describe("RateLimit", () => {
  it.live("sets the fields on every response of its routes, and refuses with a problem that names the policies", () =>
    Effect.gen(function* () {
      const limited = RateLimit.middleware(
        RateLimit.make([
          { ...slow, name: "a", burst: 3 },
          { ...slow, name: "b", burst: 9 }
        ])
      )
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/ok", ok),
        HttpRouter.add("GET", "/fails", Effect.fail(Problem.make({ status: 409 }))),
        HttpRouter.add("GET", "/dies", Effect.die("expected"))
      ).pipe(Layer.provide(limited.layer))
      const server = yield* start(router(Layer.mergeAll(routes, HttpRouter.add("GET", "/free", ok))))
      const policy = '"a";q=3;w=10800, "b";q=9;w=32400'
      for (const [path, status, left, other] of [
        ["/ok", 200, 2, 8],
        ["/fails", 409, 1, 7],
        ["/dies", 500, 0, 6]
      ] as const) {
        const answer = yield* get(server.url(path))
        assert.strictEqual(answer.status, status)
        const [ratelimit, policyField] = fields(answer)
        assert.match(ratelimit!, new RegExp(`^"a";r=${left};t=\\d+, "b";r=${other};t=\\d+$`))
        assert.strictEqual(policyField, policy)
      }
      const refused = yield* get(server.url("/ok"))
      assert.strictEqual(refused.status, 429)
      assert.match(refused.headers.get("ratelimit")!, /^"a";r=0;t=(\d+), "b";r=6;t=\1$/)
      const retryAfter = Number(refused.headers.get("retry-after"))
      assert.isTrue(retryAfter > 3500 && retryAfter <= 3600)
      assert.deepStrictEqual(
        [refused.headers.get("ratelimit-policy"), refused.headers.get("content-type")],
        [policy, "application/problem+json"]
      )
      assert.deepStrictEqual(JSON.parse(refused.body), {
        type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
        title: "Too Many Requests",
        status: 429,
        detail: "your quota is used up; try again later",
        "violated-policies": ["a"]
      })
      const free = yield* get(server.url("/free"))
      assert.deepStrictEqual([free.status, ...fields(free)], [200, null, null])
    })
  )

  it.live("limits all routes and unknown paths, but no probes, and charges what a request costs", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ ...slow, burst: 10 })
      const app = Layer.mergeAll(
        HttpRouter.add("POST", "/", ok),
        HttpRouter.add("GET", "/livez", ok),
        RateLimit.layerGlobal(limit, { cost: ({ method }) => (method === "POST" ? 4 : 1) })
      )
      const server = yield* start(router(app))
      assert.match(fields(yield* get(server.url("/"), json({})))[0]!, /r=6/)
      const missing = yield* get(server.url("/missing"))
      assert.strictEqual(missing.status, 404)
      assert.match(fields(missing)[0]!, /r=5/)
      assert.match(fields(yield* get(server.url("/"), json({})))[0]!, /r=1/)
      assert.strictEqual((yield* get(server.url("/"), json({}))).status, 429)
      const probe = yield* get(server.url("/livez"))
      assert.deepStrictEqual([probe.status, ...fields(probe)], [200, null, null])
      assert.strictEqual((yield* get(server.url("/missing"))).status, 404)
    })
  )

  it.live("lists the policies of an inner and an outer limit, and answers 413 to what no waiting helps", () =>
    Effect.gen(function* () {
      const inner = RateLimit.middleware(RateLimit.make({ ...slow, name: "inner", burst: 2 }), {
        key: Effect.succeed("everyone"),
        cost: ({ url }) => Number(url.slice(2))
      })
      const outer = RateLimit.layerGlobal(RateLimit.make({ ...slow, name: "outer", burst: 9 }))
      const app = Layer.mergeAll(HttpRouter.add("GET", "/", ok).pipe(Layer.provide(inner.layer)), outer)
      const server = yield* start(router(app))
      const [first, second, third] = yield* Effect.forEach(["/?1", "/?3", "/?2"], (path) => get(server.url(path)))
      assert.deepStrictEqual([first!.status, second!.status, third!.status], [200, 413, 429])
      assert.strictEqual(second!.headers.get("retry-after"), null)
      assert.deepStrictEqual(
        [first!, second!, third!].map((answer) => fields(answer)[0]!.replaceAll(/;t=\d+/g, "")),
        ['"outer";r=8, "inner";r=1', '"inner";r=1, "outer";r=7', '"inner";r=1, "outer";r=6']
      )
    })
  )

  it.live("names in each refusal those that refused it", () =>
    Effect.gen(function* () {
      const limited = RateLimit.middleware(
        RateLimit.make([
          { ...slow, name: "a", burst: 3 },
          { ...slow, name: "b", burst: 4 }
        ]),
        { cost: ({ url }) => Number(url.slice(2)) }
      )
      const server = yield* start(router(HttpRouter.add("GET", "/", ok).pipe(Layer.provide(limited.layer))))
      const answers = yield* Effect.forEach(["/?2", "/?2", "/?3", "/?2"], (path) => get(server.url(path)))
      assert.deepStrictEqual(
        answers.slice(1).map(({ body }) => JSON.parse(body)["violated-policies"]),
        [["a"], ["a", "b"], ["a"]]
      )
    })
  )

  it.live("counts refusals by policy", () =>
    Effect.gen(function* () {
      const limit = RateLimit.make({ ...slow, name: "counted" })
      yield* limit.take("a")
      yield* Effect.exit(limit.take("a"))
      const snapshot = yield* Metric.snapshot
      const counted = snapshot.find(
        ({ attributes, id }) => id === "spillway_http_rate_limited_total" && attributes?.policy === "counted"
      )
      assert.deepStrictEqual((counted as { state: { count: number } }).state.count, 1)
    })
  )
})
