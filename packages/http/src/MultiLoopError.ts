/**
 * Why a loop of `MultiLoop` could not be started.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * An error of another thread, as data.
 *
 * @category models
 * @since 0.1.0
 */
export const Fault = Schema.Struct({
  /** The name of the error: `TypeError`. */
  name: Schema.String,
  /** Its message. */
  message: Schema.String,
  /** Its stack, as it was in the loop. */
  stack: Schema.optionalKey(Schema.String)
})

/**
 * Reason: the loop ended before it served: its entry module or its layer failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartFailed extends Schema.TaggedError<StartFailed>("@spillway/http/MultiLoopError/StartFailed")(
  "StartFailed",
  {
    /** The exit code of the thread. */
    exitCode: Schema.Number,
    /** What it died of; absent when it exited by itself. */
    error: Schema.optionalKey(Fault)
  }
) {
  override get message() {
    const { error, exitCode } = this
    return error === undefined ? `it exited with code ${exitCode}` : `${error.name}: ${error.message}`
  }
}

/**
 * Reason: the loop did not serve within `startTimeout`.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartTimedOut extends Schema.TaggedError<StartTimedOut>("@spillway/http/MultiLoopError/StartTimedOut")(
  "StartTimedOut",
  {
    /** The time that it had, in milliseconds. */
    millis: Schema.Number
  }
) {
  override get message() {
    return `it did not serve within ${this.millis} ms`
  }
}

/**
 * Reason: a server of the loop could not listen, on a port that is taken for example.
 *
 * @category errors
 * @since 0.1.0
 */
export class CannotListen extends Schema.TaggedError<CannotListen>("@spillway/http/MultiLoopError/CannotListen")(
  "CannotListen",
  {
    /** The address that was asked for. */
    host: Schema.String,
    /** The port that was asked for. */
    port: Schema.Number,
    /** The error of the system. */
    error: Fault
  }
) {
  override get message() {
    return `it can not listen on ${this.host}:${this.port}: ${this.error.message}`
  }
}

/**
 * Error of a loop that can not be started. Use `Effect.catchReason` to handle one reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class MultiLoopError extends Schema.TaggedError<MultiLoopError>("@spillway/http/MultiLoopError")(
  "MultiLoopError",
  {
    /** The number of the loop, from 0. */
    loop: Schema.Number,
    /** Why it could not be started. */
    reason: Schema.Union([StartFailed, StartTimedOut, CannotListen])
  }
) {
  override get message() {
    return `loop ${this.loop} can not start: ${this.reason.message}`
  }
}
