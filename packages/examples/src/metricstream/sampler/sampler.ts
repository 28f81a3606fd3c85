/** Keeps the sampler running as a process of its own, for as long as its scope is open. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as NetAddress from "effect/net/NetAddress"
import { ChildProcess } from "effect/process"
import * as Schedule from "effect/Schedule"
import { fileURLToPath } from "node:url"
import { samplerRestarts } from "../metrics.ts"

const script = fileURLToPath(new URL("./main.ts", import.meta.url))

/** Runs the sampler once. Its open standard input is its sign of life from us. */
const runOnce = Effect.fnUntraced(function* (url: string) {
  const child = yield* ChildProcess.make(process.execPath, [script, url], {
    stdin: "pipe",
    stdout: "inherit",
    stderr: "inherit",
    forceKillAfter: Duration.seconds(2)
  })
  const exitCode = yield* child.exitCode
  yield* Effect.logWarning(`the sampler ended with exit code ${exitCode}; it is started again`)
}, Effect.scoped)

const backoff = Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("30 seconds")])

/** Where the sampler reaches the server, which may listen on every address. */
const eventsUrl = (address: NetAddress.SocketAddress): string => {
  const url = new URL("/events", HttpServer.formatAddress(address))
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1"
  if (url.hostname === "[::]") url.hostname = "[::1]"
  return url.href
}

/** Starts the sampler once the server listens, and again with growing pauses if it ends. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    yield* runOnce(eventsUrl(address)).pipe(
      Effect.catch((error) => Effect.logWarning("the sampler cannot be started", error)),
      Effect.andThen(Metric.update(samplerRestarts, 1)),
      Effect.repeat(backoff),
      Effect.forkScoped
    )
  })
)
