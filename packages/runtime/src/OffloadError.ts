/**
 * Why a task of an `Offload` gave no answer.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * Reason: there was no place to wait, or the task waited for `maxWait`, or a more urgent one took its place. It never ran.
 *
 * @category errors
 * @since 0.1.0
 */
export class Saturated extends Schema.TaggedError<Saturated>("@spillway/runtime/OffloadError/Saturated")("Saturated", {
  /** The number of tasks that waited at that time. */
  queued: Schema.Number,
  /** An estimate of when there will be room, from the time that tasks take. */
  retryAfter: Schema.Duration
}) {
  override get message() {
    return `all workers are busy and ${this.queued} tasks wait`
  }
}

/**
 * Reason: the task ran in its worker for longer than its `timeout`. Its signal was aborted.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>("@spillway/runtime/OffloadError/TimedOut")("TimedOut", {
  /** The time that it was given, from its start in the worker. */
  timeout: Schema.Duration
}) {
  override get message() {
    return `it ran for longer than ${Duration.format(this.timeout)}`
  }
}

/**
 * Reason: the caller's deadline had passed before a worker could take the task. It never ran.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlinePassed extends Schema.TaggedError<DeadlinePassed>("@spillway/runtime/OffloadError/DeadlinePassed")(
  "DeadlinePassed",
  {}
) {
  override get message() {
    return "the deadline passed before a worker was free"
  }
}

/**
 * Reason: the worker thread ended while it ran the task: it exited, ran out of memory, or threw outside of any task.
 *
 * @category errors
 * @since 0.1.0
 */
export class Crashed extends Schema.TaggedError<Crashed>("@spillway/runtime/OffloadError/Crashed")("Crashed", {
  /** The exit code of the thread. */
  exitCode: Schema.Number,
  /** The name and message of the error that it died of; absent when it exited by itself. */
  error: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `its worker ended with exit code ${this.exitCode}${this.error === undefined ? "" : `: ${this.error}`}`
  }
}

/**
 * Reason: there is no worker, because none can start or because the pool is closed. The task never ran.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("@spillway/runtime/OffloadError/Unavailable")(
  "Unavailable",
  {
    /** What is the matter. */
    detail: Schema.String
  }
) {
  override get message() {
    return this.detail
  }
}

/**
 * Error of a task that gave no answer. Use `Effect.catchReason` to handle one reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class OffloadError extends Schema.TaggedError<OffloadError>("@spillway/runtime/OffloadError")("OffloadError", {
  /** The name of the task, or of the offload when it could not start. */
  task: Schema.String,
  /** Why it gave no answer. */
  reason: Schema.Union([Saturated, TimedOut, DeadlinePassed, Crashed, Unavailable])
}) {
  override get message() {
    return `offload "${this.task}": ${this.reason.message}`
  }
}

/**
 * Defect of a task: its handler threw something that the contract does not declare, or its payload or its result is not what the
 * contract says. The worker lives on.
 *
 * **Details**
 *
 * `cause` is the error, with the name, message and stack that it had in the worker.
 *
 * @category errors
 * @since 0.1.0
 */
export class OffloadDefect extends Data.TaggedError("OffloadDefect")<{
  /** The name of the task. */
  readonly task: string
  /** What happened. */
  readonly cause: unknown
}> {
  override get message() {
    return `offload "${this.task}" died: ${String(this.cause)}`
  }
}
