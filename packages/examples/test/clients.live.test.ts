import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { get, start } from "./support/example.ts"

describe("clients", () => {
  it.live("hands the deadline on to the backend, and answers 503 when that is gone", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const backend = yield* Scope.provide(start("clients/backend.ts"), scope)
      const gateway = yield* start("clients/gateway.ts", { BACKEND_URL: backend.url })
      const user = yield* get(`${gateway.url}/user`)
      assert.strictEqual(user.status, 200)
      const { left, name } = JSON.parse(user.body) as { readonly left: number; readonly name: string }
      assert.strictEqual(name, "Ada")
      assert.isTrue(left > 0 && left <= 1000, String(left))
      // Both give up at the same time: the 504 of the backend, if it comes first, is the gateway's 503.
      assert.include([503, 504], (yield* get(`${gateway.url}/slow`)).status)
      yield* Scope.close(scope, Exit.void)
      const gone = yield* get(`${gateway.url}/user`)
      assert.deepStrictEqual([gone.status, gone.headers.get("retry-after")], [503, "1"])
    })
  )
})
