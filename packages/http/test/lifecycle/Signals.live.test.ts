import { SilentClient } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { get as request } from "node:http"
import { getRequest, soon } from "../fixture.ts"
import { startFixture, startServer } from "./support/child.ts"
import { freePorts } from "./support/ports.ts"

/** The status of the answer on a connection of its own, or why there is none. */
const ask = (port: number, path: string): Effect.Effect<number | string> =>
  Effect.callback((resume) => {
    const outgoing = request({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      response.resume()
      response.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "broken")))
      response.on("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
    })
    outgoing.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "broken")))
    return Effect.sync(() => outgoing.destroy())
  })

/** Asks over and over until an answer is the last one; neighbours that are equal count once. */
const askUntil = (port: number, path: string, isLast: (answer: number | string) => boolean) =>
  soon(
    Effect.gen(function* () {
      const answers: Array<number | string> = []
      for (;;) {
        const answer = yield* ask(port, path)
        if (answer !== answers.at(-1)) answers.push(answer)
        if (isLast(answer)) return answers
        yield* Effect.sleep(5)
      }
    })
  )

/** Refused, or accepted by the kernel in the moment in which the listener closed. */
const isGone = (answer: number | string) => answer === "ECONNREFUSED" || answer === "ECONNRESET"

describe("A server's process", () => {
  it.live("is not ready before it serves, and answers 503 until then", () =>
    Effect.gen(function* () {
      const [port] = yield* freePorts(1)
      yield* startFixture({ SPILLWAY_HTTP_PORT: String(port), START_MILLIS: "500" })
      const answers = yield* askUntil(port!, "/readyz", (answer) => answer === 200)
      assert.deepStrictEqual(answers, ["ECONNREFUSED", 503, 200])
    })
  )

  it.live("stops being ready before its listener closes, and answers everything until then", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ SPILLWAY_HTTP_PRE_STOP: "500 millis" })
      assert.strictEqual(yield* ask(server.port, "/readyz"), 200)
      server.kill("SIGTERM")
      const [ready, served] = yield* Effect.all(
        [askUntil(server.port, "/readyz", isGone), askUntil(server.port, "/", isGone)],
        { concurrency: 2 }
      )
      // The signal may come after the first question.
      const answers = ready.slice(0, -1)
      assert.deepStrictEqual(answers[0] === 200 ? answers.slice(1) : answers, [503])
      assert.deepStrictEqual(served.slice(0, -1), [200])
      assert.deepStrictEqual(yield* soon(server.exited), { code: 0, signal: null })
    })
  )

  it.live("answers what is in flight when Ctrl-C arrives twice", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const [client] = yield* SilentClient.connect(server, 1, getRequest("/ended?millis=500&length=10"))
      // Answered after the other one has arrived.
      assert.strictEqual(yield* ask(server.port, "/"), 200)
      server.kill("SIGINT")
      server.kill("SIGTERM")
      server.kill("SIGINT")
      assert.strictEqual(yield* server.line, "ended")
      yield* soon(client!.ended)
      assert.include(yield* client!.received, "HTTP/1.1 200")
      assert.deepStrictEqual(yield* soon(server.exited), { code: 0, signal: null })
    })
  )

  it.live("exits at once with 130 when a signal follows a second later, whatever is in flight", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ SPILLWAY_HTTP_DRAIN_TIMEOUT: "1 minute" })
      yield* SilentClient.connect(server, 1, getRequest("/forever"))
      assert.strictEqual(yield* ask(server.port, "/"), 200)
      server.kill("SIGTERM")
      yield* Effect.sleep(1100)
      server.kill("SIGTERM")
      assert.deepStrictEqual(yield* soon(server.exited), { code: 130, signal: null })
    })
  )

  it.live("drains on SIGHUP as on SIGTERM", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ SPILLWAY_HTTP_DRAIN_TIMEOUT: "100 millis" })
      const [client] = yield* SilentClient.connect(server, 1, getRequest("/forever"))
      assert.strictEqual(yield* ask(server.port, "/"), 200)
      server.kill("SIGHUP")
      assert.strictEqual(yield* server.line, "interrupted")
      yield* soon(client!.ended)
      assert.include(yield* client!.received, "HTTP/1.1 503")
      assert.deepStrictEqual(yield* soon(server.exited), { code: 0, signal: null })
    })
  )

  it.live("ends at a signal while it starts, by exit code 0 or, before its modules are loaded, by the signal", () =>
    Effect.gen(function* () {
      const endings: Array<unknown> = []
      for (const millis of [0, 50, 100, 200, 300, 400, 600, 1000]) {
        const child = yield* startFixture({ START_MILLIS: "60000" })
        yield* Effect.sleep(millis)
        child.kill("SIGTERM")
        const ending = yield* soon(child.exited)
        endings.push(ending)
        assert.strictEqual(child.errors(), "")
      }
      const known = [
        { code: 0, signal: null },
        { code: null, signal: "SIGTERM" }
      ]
      for (const ending of endings) assert.deepInclude(known, ending)
    })
  )

  it.live("exits with 1 and names the port when it is taken", () =>
    Effect.gen(function* () {
      const first = yield* startServer()
      const second = yield* startFixture({ SPILLWAY_HTTP_PORT: String(first.port) })
      const output: Array<string> = []
      for (let line = yield* second.line; line !== undefined; line = yield* second.line) output.push(line)
      assert.deepStrictEqual(yield* soon(second.exited), { code: 1, signal: null })
      assert.include(output.join("\n"), `EADDRINUSE: address already in use 127.0.0.1:${first.port}`)
      assert.strictEqual(yield* ask(first.port, "/"), 200)
    })
  )
})
