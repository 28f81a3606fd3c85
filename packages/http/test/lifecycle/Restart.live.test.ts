import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { soon } from "../fixture.ts"
import { startServer } from "./support/child.ts"
import { checkMillis, haproxyVersion, startHaproxy } from "./support/haproxy.ts"
import { startLoad } from "./support/load.ts"
import { freePorts } from "./support/ports.ts"

const restarts = 10

if (haproxyVersion === undefined)
  console.warn("skipped: there is no haproxy (Debian package haproxy) to restart behind")

/** A server that can be restarted on its port. */
const startInstance = (port: number) =>
  Effect.gen(function* () {
    const start = Effect.gen(function* () {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const server = yield* Scope.provide(
        startServer({
          SPILLWAY_HTTP_PORT: String(port),
          // Six checks: also one that has just passed, and one that a busy machine delays.
          SPILLWAY_HTTP_PRE_STOP: `${6 * checkMillis} millis`,
          SPILLWAY_HTTP_DRAIN_TIMEOUT: "10 seconds",
          // On a machine that is too slow for this load some of it would be refused for that.
          SPILLWAY_HTTP_QUEUE_TARGET: "Infinity",
          SPILLWAY_HTTP_MAX_QUEUE_WAIT: "20 seconds"
        }),
        scope
      )
      return server
    })
    let server = yield* start
    return Effect.gen(function* () {
      server.kill("SIGTERM")
      const ending = yield* soon(server.exited)
      const errors = server.errors()
      server = yield* start
      return { ...ending, errors }
    })
  })

describe("Server, restarted behind haproxy", () => {
  it.live.skipIf(haproxyVersion === undefined)(
    "loses no request and cuts off no answer while two instances restart in turn under load",
    () =>
      Effect.gen(function* () {
        const [frontend, ...ports] = yield* freePorts(3)
        const instances = yield* Effect.forEach(ports, startInstance, { concurrency: 2 })
        const haproxy = yield* startHaproxy(frontend!, ports)
        yield* Effect.forEach(ports, (_, index) => haproxy.uses(index))
        const load = yield* startLoad(frontend!)
        for (let round = 0; round < restarts; round++) {
          for (const [index, restart] of instances.entries()) {
            assert.deepStrictEqual(yield* restart, { code: 0, signal: null, errors: "" })
            yield* haproxy.uses(index)
          }
        }
        const { answers, failures } = yield* soon(load.end)
        assert.deepStrictEqual(failures, [], haproxy.log())
        assert.isAbove(answers, 1000)
      }),
    180_000
  )
})
