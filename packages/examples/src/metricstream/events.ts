/** What a client may send: the shape of an event, and every limit on it. */
import * as Schema from "effect/Schema"

/** All limits on events, in one place. What exceeds one gets a 422 that names the index and the field. */
export const limits = {
  /** Characters of a series name. 255 is the limit of OpenTelemetry's instrument names, as is the alphabet below. */
  nameLength: 255,
  /** Tags of one event. */
  tags: 16,
  /** Characters of a tag's key. */
  tagKeyLength: 64,
  /** Characters of a tag's value. */
  tagValueLength: 255,
  /** Events of one request. */
  batch: 5000,
  /**
   * The range of timestamps in milliseconds since 1970: the years 2000 to 2100. A time in seconds or in microseconds, the usual
   * mistake, lies outside.
   */
  timestamp: { minimum: Date.UTC(2000, 0), maximum: Date.UTC(2100, 0) }
} as const

/** A letter or an underscore, then letters, digits, and `_ . - / :`. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_.\-/:]*$/

/** The name of a series: a letter or an underscore, then letters, digits, and `_ . - / :`. */
export const SeriesName = Schema.String.check(
  Schema.isBetweenLength(1, limits.nameLength),
  Schema.isPattern(namePattern, {
    expected: "a letter or an underscore, then letters, digits, and _ . - / :"
  })
)

/** When an event happened: whole milliseconds since 1970. */
export const Timestamp = Schema.Int.check(
  Schema.isBetween(limits.timestamp, {
    expected: `milliseconds since 1970 between ${limits.timestamp.minimum} and ${limits.timestamp.maximum}`
  })
)

const TagKey = Schema.String.check(Schema.isBetweenLength(1, limits.tagKeyLength))

// The keys are a check of their own: a record leaves out entries whose keys do not fit, and says nothing.
const Tags = Schema.Record(Schema.String, Schema.String.check(Schema.isMaxLength(limits.tagValueLength))).check(
  Schema.isMaxProperties(limits.tags),
  Schema.isPropertyNames(TagKey)
)

/** One measurement. A field that is not named here is ignored. */
export const Event = Schema.Struct({
  /** The series that it belongs to. */
  name: SeriesName,
  /** Any finite number. */
  value: Schema.Finite,
  /** When it happened; without one, when it arrived. */
  timestamp: Schema.optionalKey(Timestamp),
  /** Free labels, kept with the event. */
  tags: Schema.optionalKey(Tags)
})
export type Event = typeof Event.Type

/** Many events, stored all or none. */
export const Batch = Schema.Array(Event).check(Schema.isMaxLength(limits.batch))
