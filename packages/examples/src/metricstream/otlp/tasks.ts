/**
 * The tasks of the OTLP worker, and the service that runs them there.
 *
 * A request may have 20 MiB, and a small one may become that when it is decompressed: to read it would keep the event loop from everybody
 * else for a second. So a worker thread decompresses, parses and maps it, and hands back columns of numbers.
 */
import * as Offload from "@spillway/runtime/Offload"
import * as OffloadTask from "@spillway/runtime/OffloadTask"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Transferable from "effect/workers/Transferable"
import { limits as events } from "../events.ts"

/** The body is not a request, or not one that can be read. */
export class BadRequest extends Schema.TaggedError<BadRequest>("metricstream/otlp/BadRequest")("BadRequest", {
  /** Where, as `resourceMetrics[0].scopeMetrics[1]`; empty for the body as a whole. */
  field: Schema.String,
  detail: Schema.String,
  /** What it was to read so far, in tokens. */
  cost: Schema.Int
}) {
  override get message() {
    return this.field === "" ? this.detail : `${this.field}: ${this.detail}`
  }
}

/** There is more in the body than is read. */
export class RequestTooLarge extends Schema.TaggedError<RequestTooLarge>("metricstream/otlp/RequestTooLarge")(
  "RequestTooLarge",
  {
    detail: Schema.String,
    /** What it was to read so far, in tokens. */
    cost: Schema.Int
  }
) {
  override get message() {
    return this.detail
  }
}

const Columns = Schema.Struct({
  names: Schema.Array(Schema.String),
  tagSets: Schema.Array(Schema.String),
  points: Schema.instanceOf(Uint32Array),
  series: Schema.instanceOf(Uint32Array),
  timestamps: Schema.instanceOf(Float64Array),
  values: Schema.instanceOf(Float64Array),
  tags: Schema.instanceOf(Uint32Array)
})

/** Whether a request, by its number, was stored. */
const Outcome = Schema.Struct({ request: Schema.Int, stored: Schema.Boolean })
export type Outcome = typeof Outcome.Type

export const OtlpTasks = RpcGroup.make(
  /**
   * Makes events of a request, and remembers what its cumulative streams have counted. It must be told what became of the requests
   * before: what was not stored counts again when it is sent again. To be told twice does no harm.
   */
  Rpc.make("read", {
    payload: {
      /** Its number: higher than that of any before. */
      request: Schema.Int,
      body: Transferable.Uint8Array,
      encoding: Schema.Literals(["identity", "gzip"]),
      format: Schema.Literals(["json", "protobuf"]),
      isFromSdk: Schema.Boolean,
      /** Milliseconds since 1970. */
      now: Schema.Finite,
      outcomes: Schema.Array(Outcome)
    },
    success: Schema.Struct({
      columns: Columns,
      points: Schema.Int,
      rejected: Schema.Int,
      message: Schema.String,
      /** What it was to read, in tokens. */
      cost: Schema.Int
    }),
    error: Schema.Union([BadRequest, RequestTooLarge])
  }).annotate(OffloadTask.Cancellation, "cooperative")
)

/** Service that reads OTLP requests, on a thread that remembers cumulative streams. */
export class OtlpReader extends Offload.Service<OtlpReader>()("metricstream/OtlpReader", OtlpTasks) {
  static readonly layer = OtlpReader.layerThreads({
    name: "otlp",
    worker: new URL("./otlp.worker.ts", import.meta.url),
    data: events,
    // One, for what it remembers; and none of a request's work is thrown away with it.
    workers: 1,
    spares: 0,
    killGrace: Infinity,
    // Twice what the largest request and a full table of streams were seen to take.
    resourceLimits: { maxOldGenerationSizeMb: 512 },
    // Each may be as large as a request may be: what waits stays below 160 MiB.
    maxQueued: 8,
    maxWait: "5 seconds"
  })
}
