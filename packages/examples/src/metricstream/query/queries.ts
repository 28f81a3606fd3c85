/** The tasks of the query workers, and the service that runs them there. */
import * as Problem from "@spillway/http/Problem"
import * as Bulkhead from "@spillway/runtime/Bulkhead"
import * as Offload from "@spillway/runtime/Offload"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Respondable from "effect/http/HttpServerRespondable"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { aggregationNames } from "./aggregation.ts"
import { limits } from "./limits.ts"
import { badParameter } from "./parameters.ts"

/** There is no series of that name. Answered 404. */
export class SeriesNotFound extends Schema.TaggedError<SeriesNotFound>("metricstream/SeriesNotFound")(
  "SeriesNotFound",
  {}
) {
  override get message() {
    return "there is no series of this name"
  }
  [Respondable.symbol]() {
    return Effect.succeed(Problem.toResponse(Problem.make({ status: 404, detail: this.message })))
  }
}

/** The range holds more events than an answer may be computed from. Answered 400, naming `from`. */
export class RangeTooLarge extends Schema.TaggedError<RangeTooLarge>("metricstream/RangeTooLarge")(
  "RangeTooLarge",
  {}
) {
  override get message() {
    return `the range holds more than ${limits.events} events; ask for a shorter one`
  }
  [Respondable.symbol]() {
    return Effect.succeed(Problem.toResponse(badParameter("from", this.message)))
  }
}

const Summary = Schema.Struct({
  name: Schema.String,
  count: Schema.Finite,
  lastValue: Schema.Finite,
  lastTimestamp: Schema.Finite,
  /** Its latest values, oldest first. */
  recent: Schema.instanceOf(Float64Array)
})
export type Summary = typeof Summary.Type

export const QueryTasks = RpcGroup.make(
  /** A page of the series whose names contain `match`, each with its `recent` latest values. */
  Rpc.make("list", {
    payload: { after: Schema.String, limit: Schema.Int, recent: Schema.Int, match: Schema.String },
    success: Schema.Array(Summary)
  }),
  /** A column for each aggregation, with an entry for each bucket; `NaN` is what an empty bucket does not have. */
  Rpc.make("aggregate", {
    payload: {
      name: Schema.String,
      from: Schema.Int,
      to: Schema.Int,
      step: Schema.Int,
      agg: Schema.Array(Schema.Literals(aggregationNames))
    },
    success: Schema.Array(Schema.instanceOf(Float64Array)),
    error: Schema.Union([SeriesNotFound, RangeTooLarge])
  })
)

/** How long a query waits at most. */
const maxWait = Duration.seconds(5)

/** Service that answers questions about series, on threads that only read. */
export class Queries extends Offload.Service<Queries>()("metricstream/Queries", QueryTasks) {
  /** `path` must be a database that exists: build this layer after `Storage.layer`. */
  static readonly layer = (path: string) =>
    Queries.layerThreads({
      name: "queries",
      worker: new URL("./query.worker.ts", import.meta.url),
      data: path,
      workers: limits.workers,
      maxQueued: limits.queued,
      maxWait,
      timeout: "10 seconds"
    })
}

/**
 * What clients ask of a series may take seconds, however many ask: it leaves a worker for the lists and for what viewers watch, which go first
 * there.
 */
export const questions = Bulkhead.make({
  name: "questions",
  maxConcurrent: limits.workers - 1,
  maxQueued: limits.queued,
  maxWait
})
