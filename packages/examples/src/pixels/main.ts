/** The parts of docs/offload.md: `node packages/examples/src/pixels/main.ts` runs them one after the other. */
import { Deadline, Offload } from "@spillway/runtime"
import { Console, Effect, Stream } from "effect"
import { ImageOffload } from "./contract.ts"

/** How many images the workers have published. */
export const published = new Int32Array(new SharedArrayBuffer(4))

// #region threads
export const images = ImageOffload.layerThreads({
  worker: new URL("./pixels.worker.ts", import.meta.url),
  data: { published },
  minWorkers: 1,
  maxWorkers: 4, // one more as soon as a task has to wait, one less after 10 idle seconds
  maxQueued: 64, // the 65th is refused at once, as Saturated
  maxWait: "2 seconds",
  timeout: "10 seconds", // of each task, from its start in the worker
  maxTasks: 10_000 // then the worker is replaced by a fresh one
})
// #endregion

// #region call
/** The bytes are gone from here when they have moved to the worker; the inverted ones have moved back. */
export const inverted = Effect.gen(function* () {
  const images = yield* ImageOffload
  const pixels = new Uint8Array(8).fill(250)
  return yield* images.invert({ pixels }, { priority: "high" }).pipe(
    Deadline.within("1 second"),
    Effect.catchReason("OffloadError", "Saturated", ({ retryAfter }) =>
      Effect.andThen(Effect.sleep(retryAfter), images.invert({ pixels }))
    )
  )
})
// #endregion

// #region stream
/** Takes three rows. The worker is at most two rows ahead, and stops when the third is taken. */
export const firstRows = Effect.gen(function* () {
  const images = yield* ImageOffload
  const pixels = new Uint8Array(1000).fill(9)
  const rows = images.blur(
    { pixels, width: 10 },
    { bufferSize: 2, onProgress: (done) => console.error(`${Number(done) * 100} % are blurred`) }
  )
  return yield* rows.pipe(Stream.take(3), Stream.runCollect)
})
// #endregion

// #region cancel
/** Its time is over after 5 ms, but it is cooperative: it goes on, and its worker is busy until it has ended. */
export const publishAnyway = Effect.gen(function* () {
  const images = yield* ImageOffload
  yield* images
    .publish({ name: "sunset" }, { timeout: "5 millis" })
    .pipe(Effect.catchReason("OffloadError", "TimedOut", ({ message }) => Console.log(message)))
})
// #endregion

// #region stats
export const report = Effect.gen(function* () {
  const { ended, queued, workers } = yield* Offload.stats(yield* ImageOffload)
  const busiest = Math.max(...workers.map(({ utilization }) => utilization))
  yield* Console.log(`${ended.succeeded} tasks done, ${queued} wait, busiest worker: ${Math.round(busiest * 100)} %`)
})
// #endregion

export const program = Effect.gen(function* () {
  yield* Console.log(yield* inverted)
  yield* Console.log(yield* firstRows)
  yield* publishAnyway
  yield* report
}).pipe(Effect.provide(images))

if (import.meta.main) Effect.runPromise(program)
