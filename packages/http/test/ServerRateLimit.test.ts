import { RateLimit, ServerRateLimit } from "@spillway/http"
import type { RateLimitShared } from "@spillway/http"
import { assert, describe, it } from "@effect/vitest"
import type { IncomingMessage } from "node:http"

const from = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage
const address = () => "192.0.2.1"

describe("ServerRateLimit", () => {
  it("takes a limit in memory, and none that machines share", () => {
    const local: ServerRateLimit.Options = { limit: RateLimit.make({ limit: 1 }) }
    const withShared = (limit: RateLimit.RateLimit<RateLimitShared.RateLimitUnavailable>): ServerRateLimit.Options =>
      // @ts-expect-error To ask a store needs a fiber.
      ({ limit })
    assert.deepStrictEqual(withShared(local.limit), local)
  })

  describe("byApiKey", () => {
    it("is a digest of a known key, by a set or a function, and does not contain it", () => {
      const bySet = ServerRateLimit.byApiKey({ isKnown: new Set(["secret of a", "secret of b"]) })
      const a = bySet(from({ "x-api-key": "secret of a" }), address)
      assert.match(a, /^key:[\w-]{43}$/)
      assert.notStrictEqual(a, bySet(from({ "x-api-key": "secret of b" }), address))
      const byFunction = ServerRateLimit.byApiKey({
        header: "Authorization",
        isKnown: (key) => key.startsWith("Bearer ")
      })
      assert.match(byFunction(from({ authorization: "Bearer x" }), address), /^key:/)
    })

    it("is the address without a known key, or with one that is too long to be looked at", () => {
      const key = ServerRateLimit.byApiKey({ isKnown: (key) => key !== "unknown" })
      for (const secret of ["unknown", "", "x".repeat(513)]) {
        assert.strictEqual(key(from({ "x-api-key": secret }), address), "192.0.2.1")
      }
      assert.strictEqual(key(from({}), address), "192.0.2.1")
      assert.match(key(from({ "x-api-key": "x".repeat(512) }), address), /^key:/)
    })
  })
})
