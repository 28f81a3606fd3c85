import { HttpAnswer, MalformedBytes } from "@spillway/http/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { getRequest, soon } from "../fixture.ts"
import { http, nobody, tcp } from "./servers.ts"

const none = { answered: 0, truncated: 0, malformed: 0, closed: 0, reset: 0, hang: 0, refused: 0 }
const patient = { timeout: "5 seconds" } as const

describe("MalformedBytes.run", () => {
  it.live("tells how a server takes each input", () =>
    Effect.gen(function* () {
      const server = yield* http((_, response) => response.end("hi"))
      const inputs = [
        getRequest("/"),
        { name: "garbage", bytes: new Uint8Array([0, 1, 2, 13, 10]) },
        { name: "two", bytes: `${getRequest("/")}${getRequest("/").replace("GET", "HEAD")}`, methods: ["GET", "HEAD"] }
      ]
      const report = yield* soon(MalformedBytes.run(server, inputs, patient))
      const [first, garbage, two] = report.outcomes
      assert.deepStrictEqual([report.inputs, report.verdicts], [3, { ...none, answered: 3 }])
      assert.deepStrictEqual(report.statuses, { 200: 3, 400: 1 })
      assert.deepStrictEqual([first!.name, first!.statuses, first!.ending], ["0", [200], "open"])
      assert.strictEqual(HttpAnswer.text(first!.answers[0]!), "hi")
      assert.deepStrictEqual([garbage!.name, garbage!.statuses, garbage!.ending], ["garbage", [400], "closed"])
      assert.deepStrictEqual([two!.statuses, two!.answers[1]!.framing], [[200, 200], "none"])
    })
  )

  it.live("notices answers that nobody asked for", () =>
    Effect.gen(function* () {
      const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
      const server = yield* tcp((socket) =>
        socket.once("data", () => {
          socket.write(answer)
          setTimeout(() => socket.end(answer), 50)
        })
      )
      const report = yield* soon(MalformedBytes.run(server, [getRequest("/")], { ...patient, settle: "5 seconds" }))
      assert.deepStrictEqual(report.outcomes[0]!.statuses, [200, 200])
    })
  )

  const answers = {
    closed: (socket) => socket.end(),
    reset: (socket) => socket.resetAndDestroy(),
    truncated: (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"),
    malformed: (socket) => socket.write("hello")
  } satisfies Record<string, Parameters<typeof tcp>[0]>
  for (const [verdict, answer] of Object.entries(answers)) {
    it.live(`tells a connection that is ${verdict}`, () =>
      Effect.gen(function* () {
        const server = yield* tcp((socket) => socket.once("data", () => answer(socket)))
        const report = yield* soon(MalformedBytes.run(server, ["x", "y"], patient))
        assert.deepStrictEqual(report.verdicts, { ...none, [verdict]: 2 })
        const expected = verdict === "malformed" ? { at: 0, reason: "not a status line" } : undefined
        assert.deepStrictEqual(report.outcomes[0]!.malformed, expected)
        assert.match(MalformedBytes.format(report), new RegExp(`^2 inputs: 2 ${verdict}; .*\n  0: ${verdict} after`))
      })
    )
  }

  it.live("tells a server that does not answer, or not to the end", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => {
        socket.once("data", (bytes) => void (bytes[0] === 120 ? socket.write("HTTP/1.1 200 OK\r\n") : 0))
      })
      const report = yield* soon(MalformedBytes.run(server, ["x", "y"], { timeout: 100 }))
      assert.deepStrictEqual(report.verdicts, { ...none, hang: 2 })
    })
  )

  it.live("tells connections that are refused", () =>
    Effect.gen(function* () {
      const report = yield* soon(MalformedBytes.run(yield* nobody, ["x"]))
      assert.deepStrictEqual(report.verdicts, { ...none, refused: 1 })
    })
  )

  it.live("has so many connections at once, and closes them when it is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* tcp((socket) => socket.on("end", () => socket.end()).resume())
      const inputs = Array.from({ length: 9 }, () => "x")
      const fiber = yield* Effect.forkChild(MalformedBytes.run(server, inputs, { concurrency: 3, timeout: Infinity }))
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 3 }))
      yield* Fiber.interrupt(fiber)
      yield* soon(Effect.repeat(Effect.sleep(5), { until: () => server.sockets.size === 0 }))
    })
  )
})
