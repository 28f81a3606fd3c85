/** Takes in OTLP requests: has them read, and stores their events. */
import type { OffloadError } from "@spillway/runtime/OffloadError"
import type { RateLimited } from "@spillway/http/RateLimit"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Ingest } from "../ingest.ts"
import * as metrics from "../metrics.ts"
import type { EventsRefused, StorageUnavailable } from "../refusals.ts"
import type { Encoding, Format } from "./body.ts"
import { plainSize } from "./cost.ts"
import type { Mapped } from "./mapping.ts"
import { Rejections } from "./rejections.ts"
import { toEvents } from "./rows.ts"
import type { Columns } from "./rows.ts"
import { OtlpReader } from "./tasks.ts"
import type { BadRequest, RequestTooLarge, Outcome } from "./tasks.ts"

/** What became of a request. */
export interface Accepted {
  /** How many data points were not stored for they cannot be, now or later. */
  readonly rejected: number
  /** Why, for people; empty if none were. */
  readonly message: string
}

/** A body as it was sent. */
export interface Body {
  readonly bytes: Uint8Array
  readonly encoding: Encoding
  readonly format: Format
  /** Whether its sender is the exporter of an SDK, which knows when its streams began. */
  readonly isFromSdk: boolean
}

/** What one client may have read and stored. */
export interface Allowance {
  /** Has a body of its read, of so many bytes decompressed, if it does not owe for others. */
  readonly read: (size: number, read: Read) => Effect.Effect<Effect.Success<Read>, Effect.Error<Read> | RateLimited>
  /** Takes what the events cost that are made of its points, before they are stored. */
  readonly pay: (events: number) => Effect.Effect<unknown, RateLimited>
}

/** A body being read. */
export type Read = ReturnType<OtlpReader["Service"]["read"]>

/** Counter: data points of OTLP requests that were answered 200, by `outcome`: `accepted`, or `rejected` since they cannot be stored. */
const dataPoints = Metric.counter("metricstream_otlp_points_total", {
  description: "Data points of OTLP requests that were stored, or left out since they cannot be",
  incremental: true
})
const acceptedPoints = Metric.withAttributes(dataPoints, { outcome: "accepted" })
const rejectedPoints = Metric.withAttributes(dataPoints, { outcome: "rejected" })

/** How many outcomes are kept for the worker while it takes no request. More are of requests that it never read. */
const maxOutcomes = 1024

/** What became of requests, until the worker has been told. */
class Outcomes {
  readonly #outcomes = new Map<number, Outcome>()

  get all(): ReadonlyArray<Outcome> {
    return [...this.#outcomes.values()]
  }

  note(request: number, stored: boolean): void {
    this.#outcomes.set(request, { request, stored })
    if (this.#outcomes.size > maxOutcomes) this.#outcomes.delete(this.#outcomes.keys().next().value!)
  }

  forget(told: ReadonlyArray<Outcome>): void {
    for (const { request } of told) this.#outcomes.delete(request)
  }
}

/** Has a request read, and the reader told what became of those before. */
const read = Effect.fnUntraced(function* (
  reader: OtlpReader["Service"],
  outcomes: Outcomes,
  request: number,
  { bytes, ...body }: Body
) {
  const told = outcomes.all
  const now = yield* Clock.currentTimeMillis
  const forget = Effect.sync(() => outcomes.forget(told))
  return yield* reader.read({ ...body, request, body: own(bytes), now, outcomes: told }).pipe(
    Effect.tap(forget),
    // It was told, whatever it thinks of the body.
    Effect.tapError((error) => (error._tag === "OffloadError" ? Effect.void : forget))
  )
})

/** Events are refused for one reason at a time, of which there are three; series may run out once more in between. */
const maxAttempts = 5

const make = Effect.gen(function* () {
  const { append } = yield* Ingest
  const reader = yield* OtlpReader
  const scope = yield* Effect.scope
  const outcomes = new Outcomes()
  let requests = 0

  const accept = Effect.fnUntraced(function* (body: Body, allowance: Allowance) {
    const request = ++requests
    const note = (stored: boolean) => Effect.sync(() => outcomes.note(request, stored))
    const unlessStored = <A, E>(self: Effect.Effect<A, E>) =>
      Effect.onExit(self, (exit) => (Exit.isSuccess(exit) ? Effect.void : note(false)))
    const size = plainSize(body.bytes, body.encoding)
    const readAndPaid = allowance
      .read(size, read(reader, outcomes, request, body))
      .pipe(Effect.tap(({ columns }) => allowance.pay(columns.values.length)))
    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const mapped = yield* unlessStored(restore(readAndPaid))
        // From here on it is the storage that says what became of the request, whether its client waits for it or not.
        const storing = unlessStored(Effect.tap(storeMapped(append, mapped), note(true)))
        return yield* restore(Fiber.join(yield* Effect.forkIn(storing, scope)))
      })
    )
  })
  return { accept }
})

/** Stores the events of a request, and counts its points. */
const storeMapped = Effect.fnUntraced(function* (
  append: Ingest["Service"]["append"],
  { columns, message, points, rejected }: Mapped
) {
  const refused = yield* store(append, columns)
  const all = rejected + refused.count
  yield* Metric.update(acceptedPoints, points - all)
  yield* Metric.update(rejectedPoints, all)
  return { rejected: all, message: [message, refused.message(points)].filter(Boolean).join("; ") }
})

/** Stores events, without the points of which some are refused: says which those are. */
const store = Effect.fnUntraced(function* (append: Ingest["Service"]["append"], columns: Columns) {
  const refused = new Rejections()
  let events = toEvents(columns)
  let points = columns.points
  for (let attempt = 1; ; attempt++) {
    const isPartial = attempt < maxAttempts
    const refusal = yield* append(events, { isPartial }).pipe(
      Effect.as(undefined),
      Effect.catchTag("EventsRefused", (error) => (isPartial ? Effect.succeed(error) : Effect.fail(error)))
    )
    if (refusal === undefined) return refused
    const dropped = new Set(refusal.indexes.map((index) => points[index]!))
    refused.add(events[refusal.indexes[0]!]!.name, refusal.detail, dropped.size)
    const isKept = (_: unknown, row: number) => !dropped.has(points[row]!)
    const kept = events.filter(isKept)
    metrics.refuse(refusal.reason, events.length - kept.length, yield* Effect.context<never>())
    events = kept
    points = points.filter(isKept)
  }
})

/** The bytes in a buffer of their own, to be moved to the worker: small ones lie in one with others. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes)

/** Service that takes in OTLP requests. */
export class Otlp extends Context.Service<
  Otlp,
  {
    /**
     * Stores the points of a request, and succeeds once they are on the disk. Those that cannot be stored are counted and left out.
     * It is read and paid for by the client's allowance.
     *
     * Fails as the allowance does, if the body cannot be read or is too large, and as `Ingest.append` and a full offload do: then nothing was
     * stored, and the request counts when it is sent again. Interruption gives up waiting only, once the request is read.
     */
    readonly accept: (
      body: Body,
      allowance: Allowance
    ) => Effect.Effect<
      Accepted,
      BadRequest | RequestTooLarge | RateLimited | StorageUnavailable | EventsRefused | OffloadError
    >
  }
>()("metricstream/Otlp") {
  static readonly layerNoDeps: Layer.Layer<Otlp, never, Ingest | OtlpReader> = Layer.effect(Otlp, make)
  /** With the reader, whose workers the live page shows. */
  static readonly layer: Layer.Layer<Otlp | OtlpReader, OffloadError, Ingest> = Otlp.layerNoDeps.pipe(
    Layer.provideMerge(OtlpReader.layer)
  )
}
