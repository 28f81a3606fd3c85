/** Tries the echo server of stage 2: many slow clients at once, a quick one among them, and then a body larger than it would hold. */
import { NodeHttpClient } from "@effect/platform-node"
import * as HttpRequest from "@spillway/http/testing/HttpRequest"
import * as RawClient from "@spillway/http/testing/RawClient"
import { Data, Effect, Fiber, Option, Stream } from "effect"
import type { Duration } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import * as Client from "./support/client.ts"
import * as Server from "./support/server.ts"
import * as Story from "./support/story.ts"

export interface Options {
  /** How many slow clients there are. */
  readonly clients: number
  /** For how many seconds each sends its body. */
  readonly seconds: number
  /** How large the large body is, in MiB. */
  readonly megabytes: number
}

/** What came back was not what was sent. */
export class NotEchoed extends Data.TaggedError("NotEchoed")<{ readonly what: string; readonly status: number }> {
  override get message() {
    return `${this.what} did not come back as it was sent, but with status ${this.status}`
  }
}

/** Milliseconds between two bytes of a slow client. */
const interval = 250

/** Each slow client sends a text of its own, so that no two could be mixed up unnoticed. */
const textOf = (client: number, bytes: number): string => `client ${client} `.repeat(bytes).slice(0, bytes)

/** Sends a body byte by byte, each in a chunk of its own, and checks that it comes back. */
const dribble = Effect.fnUntraced(function* (url: string, client: number, bytes: number) {
  const text = textOf(client, bytes)
  const connection = yield* RawClient.connect(url)
  const headers = { "Transfer-Encoding": "chunked" }
  yield* connection.write(HttpRequest.encode(url, { method: "POST", path: "/echo", headers }))
  for (const byte of text) {
    yield* connection.write(`1\r\n${byte}\r\n`)
    yield* Effect.sleep(interval)
  }
  yield* connection.write("0\r\n\r\n")
  const { answers } = yield* connection.answers(1, ["POST"])
  const [answer] = answers
  if (answer?.status !== 200 || Buffer.from(answer.body).toString() !== text) {
    return yield* new NotEchoed({ what: `the body of slow client ${client}`, status: answer?.status ?? 0 })
  }
}, Effect.scoped)

/** A small body on a connection of its own. */
const quick = Effect.fnUntraced(function* (url: string) {
  const { body, duration, status } = yield* Client.ask(url, { method: "POST", path: "/echo", body: "quick" })
  if (body !== "quick") return yield* new NotEchoed({ what: "the body of the quick client", status })
  return duration
})

/** 1 MiB, whose contents change with its number. */
const mebibyte = (number: number): Uint8Array => Buffer.alloc(1_048_576, `${number} `)

/** Streams a body through the server, never holding more than some of it, and compares what was sent with what came back. */
const stream = Effect.fnUntraced(function* (url: string, megabytes: number) {
  const [sent, received] = [createHash("sha256"), createHash("sha256")]
  const body = Stream.range(1, megabytes).pipe(
    Stream.map(mebibyte),
    Stream.tap((bytes) => Effect.sync(() => sent.update(bytes)))
  )
  const response = yield* HttpClient.execute(HttpClientRequest.bodyStream(HttpClientRequest.post(`${url}/echo`), body))
  yield* Stream.runForEach(response.stream, (bytes) => Effect.sync(() => received.update(bytes)))
  if (!sent.digest().equals(received.digest()))
    return yield* new NotEchoed({ what: "the large body", status: response.status })
}, Effect.provide(NodeHttpClient.layerUndici))

const stage = new URL("./stage-2.ts", import.meta.url)

const tryCrowd = Effect.fnUntraced(function* ({ pid, url }: Server.Server, options: Options, tell: Story.Tell) {
  const { clients, seconds } = options
  const alone = yield* Client.typical(quick(url))
  yield* tell(`the quick client, with nobody else there: its body is back after ${Story.format(alone)}`)

  const bytes = Math.ceil((seconds * 1000) / interval)
  const threadsBefore = Server.threads(pid)
  yield* tell(`${clients} slow clients begin: ${bytes} bytes each, a byte every ${interval} ms`)
  const everybody = Array.from({ length: clients }, (_, client) => dribble(url, client, bytes))
  const slow = yield* Effect.forkChild(Effect.all(everybody, { concurrency: "unbounded", discard: true }))
  const beside: Array<Duration.Duration> = []
  let threads = threadsBefore
  while (Option.isNone(yield* Effect.timeoutOption(Fiber.join(slow), "500 millis"))) {
    const duration = yield* quick(url)
    beside.push(duration)
    threads = Server.threads(pid)
    yield* tell(`the quick one among them: back after ${Story.good(Story.format(duration))}`)
  }
  yield* tell(`the bodies of all ${clients} are back, byte for byte`)
  if (threads !== undefined) yield* tell(`threads of the server: ${threadsBefore} before, ${threads} meanwhile`)
  return { alone, beside, threadsBefore, threads }
})

const tryLarge = Effect.fnUntraced(function* ({ pid, url }: Server.Server, { megabytes }: Options, tell: Story.Tell) {
  const before = Server.peakMebibytes(pid)
  yield* tell(`a client sends ${megabytes} MiB`)
  const [duration] = yield* Effect.timed(stream(url, megabytes))
  const after = Server.peakMebibytes(pid)
  yield* tell(`they are back, byte for byte, after ${Story.format(duration)}`)
  if (before === undefined || after === undefined) return { grownMebibytes: undefined }
  yield* tell(`the most memory that the server had: ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB now`)
  return { grownMebibytes: after - before }
})

// #region demo
/** Has them all try the server, and tells what happens meanwhile. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const tell = yield* Story.begin
  yield* Story.title("Many slow clients, and a quick one among them")
  const server = yield* Server.start(stage)
  yield* tell(`the server listens: ${server.url}, process ${server.pid}`)
  const crowd = yield* tryCrowd(server, options, tell)
  yield* Story.title("A body larger than what the server holds of it")
  const large = yield* tryLarge(server, options, tell)
  return { ...crowd, ...large }
}, Effect.scoped)
// #endregion
