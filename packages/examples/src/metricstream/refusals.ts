/** Why events are not stored, and how that is answered. */
import * as Problem from "@spillway/http/Problem"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Respondable from "effect/http/HttpServerRespondable"
import * as Schema from "effect/Schema"

/** Events are not stored now; sending them again later may succeed. Answered 503 with `Retry-After`. */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>("metricstream/StorageUnavailable")(
  "StorageUnavailable",
  {
    detail: Schema.String,
    retryAfter: Schema.Duration
  }
) {
  override get message() {
    return this.detail
  }
  [Respondable.symbol]() {
    return Effect.succeed(Problem.toResponse(Problem.unavailable(this.detail, Duration.toSeconds(this.retryAfter))))
  }
}

/** Places that a problem names at most. */
const maxPlaces = 10

/**
 * Some events cannot be stored, now or later, and none of their batch is. Answered 422, naming the places of the first ten.
 *
 * Without the events at `indexes` the others could have been stored.
 */
export class EventsRefused extends Schema.TaggedError<EventsRefused>("metricstream/EventsRefused")("EventsRefused", {
  reason: Schema.Literals(["TooOld", "TooNew", "SeriesLimit"]),
  /** What is wrong with each of them. */
  detail: Schema.String,
  /** Which events of the batch they are, in ascending order. */
  indexes: Schema.Array(Schema.Int),
  /** Whether the body was one event by itself, which has no index. */
  alone: Schema.Boolean
}) {
  override get message() {
    return `${this.indexes.length} events are refused: ${this.detail}`
  }
  /** The field of each event that is at fault. */
  get field(): "name" | "timestamp" {
    return this.reason === "SeriesLimit" ? "name" : "timestamp"
  }
  [Respondable.symbol]() {
    const errors = this.indexes.slice(0, maxPlaces).map((index) => ({
      path: `${this.alone ? "" : `/${index}`}/${this.field}`,
      message: this.detail
    }))
    return Effect.succeed(
      Problem.toResponse(Problem.make({ status: 422, detail: this.detail, extensions: { errors } }))
    )
  }
}
