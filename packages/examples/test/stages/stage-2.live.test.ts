/** The demo runs with a quarter of its clients, for two seconds instead of five. */
import { run } from "@spillway/examples/stages/stage-2.demo"
import * as RawClient from "@spillway/http/testing/RawClient"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { start as startExample } from "../support/example.ts"
import { timeout, told } from "./support/stage.ts"

const start = Effect.map(startExample("stages/stage-2.ts"), ({ url }) => url)

const post = (url: string, body: Uint8Array<ArrayBuffer>) =>
  Effect.promise(async (signal) => {
    const response = await fetch(`${url}/echo`, { method: "POST", body, signal })
    return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) }
  })

/** A client that sends and does not read until it is told to. */
const stubborn = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { hostname, port } = new URL(url)
      const socket = connect({ host: hostname, port: Number(port) }).on("error", () => {})
      return socket.pause()
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Waits until a number has been the same for a second. */
const settled = (read: () => number) =>
  Effect.gen(function* () {
    let [before, same] = [read(), 0]
    while (same < 10) {
      yield* Effect.sleep("100 millis")
      const now = read()
      same = now === before ? same + 1 : 0
      before = now
    }
    return before
  }).pipe(Effect.timeout("20 seconds"))

describe("stage-2", () => {
  it.live(
    "serves a quick client at once among slow ones, on no more threads, and holds little of a large body",
    () =>
      Effect.gen(function* () {
        const { result, text } = yield* told(run({ clients: 50, seconds: 2, megabytes: 256 }))
        const { beside, grownMebibytes, threads, threadsBefore } = result
        assert.isAtLeast(beside.length, 2)
        // Each slow client takes 2 s: a server that waits for one after the other would take 100 s for them.
        for (const duration of beside) assert.isBelow(Duration.toMillis(duration), 1500)
        assert.include(text, "the bodies of all 50 are back, byte for byte")
        assert.include(text, "they are back, byte for byte")
        if (process.platform !== "linux") return
        assert.isAtMost(threads!, threadsBefore! + 4)
        assert.isBelow(grownMebibytes!, 128)
      }),
    timeout
  )

  it.live(
    "gives back every body as it was, whatever its size",
    () =>
      Effect.gen(function* () {
        const url = yield* start
        for (const size of [0, 1, 65_535, 65_536, 65_537, 3_000_000]) {
          const body = new Uint8Array(randomBytes(size))
          const answer = yield* post(url, body)
          assert.strictEqual(answer.status, 200, `${size} bytes`)
          assert.isTrue(Buffer.from(body).equals(answer.body), `${size} bytes`)
        }
      }),
    timeout
  )

  it.live(
    "gives back the beginning of a body before its end has come",
    () =>
      Effect.gen(function* () {
        const connection = yield* RawClient.connect(yield* start)
        yield* connection.write("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert.match(yield* connection.receivedUntil("one"), /^HTTP\/1\.1 200 [\s\S]*\r\n3\r\none\r\n$/)
        yield* connection.write("3\r\ntwo\r\n")
        assert.match(yield* connection.receivedUntil("two"), /two\r\n$/)
        yield* connection.write("0\r\n\r\n")
        const { answers } = yield* connection.answers(1, ["POST"])
        assert.strictEqual(Buffer.from(answers[0]!.body).toString(), "onetwo")
      }).pipe(Effect.timeout("20 seconds")),
    timeout
  )

  it.live(
    "takes no more from a client that does not read, serves the others, and goes on when it reads",
    () =>
      Effect.gen(function* () {
        const url = yield* start
        const socket = yield* stubborn(url)
        const [chunk, chunks] = [Buffer.alloc(1_048_576, "x"), 128]
        let accepted = 0
        socket.write(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${chunks * chunk.length}\r\n\r\n`)
        for (let n = 0; n < chunks; n++) socket.write(chunk, () => accepted++)
        // What the kernels and the server hold together, of 128 MiB.
        assert.isBelow(yield* settled(() => accepted), 64)
        assert.strictEqual((yield* post(url, new Uint8Array([1]))).status, 200)
        let received = 0
        socket.on("data", (bytes) => {
          received += bytes.length
        })
        socket.resume()
        const done = Effect.sync(() => received > chunks * chunk.length)
        yield* Effect.timeout(Effect.repeat(Effect.delay(done, "20 millis"), { until: (done) => done }), "20 seconds")
        assert.strictEqual(accepted, chunks)
      }),
    timeout
  )

  it.live(
    "answers other paths and methods with a problem",
    () =>
      Effect.gen(function* () {
        const url = yield* start
        const statuses = yield* Effect.forEach([`${url}/echo`, `${url}/other`], (url) =>
          Effect.promise(async () => (await fetch(url)).status)
        )
        assert.deepStrictEqual(statuses, [405, 404])
      }),
    timeout
  )
})
