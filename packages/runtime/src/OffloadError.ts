/**
 * Why a task of an `Offload` gave no answer.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/**
 * What a worker died of: an error of another thread or machine, as data.
 *
 * @category models
 * @since 0.1.0
 */
export const Fault = Schema.Struct({
  /** The name of the error: `TypeError`. */
  name: Schema.String,
  /** Its message. */
  message: Schema.String,
  /** Its stack, as it was there. */
  stack: Schema.optionalKey(Schema.String)
})

/**
 * What a worker died of.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault = typeof Fault.Type

const describe = (fault: Fault | undefined, exitCode: number | undefined): string =>
  fault === undefined ? `it exited with code ${exitCode}` : `${fault.name}: ${fault.message}`

/**
 * Reason: there was no place to wait, or the task waited too long, or a more urgent one took its place. It never ran.
 *
 * @category errors
 * @since 0.1.0
 */
export class Saturated extends Schema.TaggedError<Saturated>("@spillway/runtime/OffloadError/Saturated")("Saturated", {
  /** `QueueFull`, `WaitExceeded`, `Displaced` or `Shed`: see `AdmissionQueue.Refusal`. */
  why: Schema.Literals(["QueueFull", "WaitExceeded", "Displaced", "Shed"]),
  /** The number of tasks that waited at that time. */
  queued: Schema.Number,
  /** An estimate of when there will be room, from the time that tasks take. */
  retryAfter: Schema.Duration
}) {
  override get message() {
    return `all workers are busy and ${this.queued} tasks wait (${this.why})`
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
  /** The error that it died of; absent when it exited by itself. */
  error: Schema.optionalKey(Fault)
}) {
  override get message() {
    return `its worker ended: ${describe(this.error, this.exitCode)}`
  }
}

/**
 * Reason: there is no worker. The task never ran, unless the offload closed while it did.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("@spillway/runtime/OffloadError/Unavailable")(
  "Unavailable",
  {
    /**
     * `CannotStart`: the worker file fails, again and again. `Closed`: the offload's scope has closed. `Unreachable`: the request did
     * not get to the other machine.
     */
    why: Schema.Literals(["CannotStart", "Closed", "Unreachable"]),
    /** The URL of the worker file. */
    worker: Schema.optionalKey(Schema.String),
    /** The exit code of the last worker that could not start. */
    exitCode: Schema.optionalKey(Schema.Number),
    /** The error that it died of, absent when it exited by itself; for `Unreachable`, that of the connection. */
    error: Schema.optionalKey(Fault)
  }
) {
  override get message() {
    switch (this.why) {
      case "Closed":
        return "the pool is closed"
      case "Unreachable":
        return `the other machine cannot be reached: ${describe(this.error, undefined)}`
      case "CannotStart":
        return `worker ${this.worker} cannot start: ${describe(this.error, this.exitCode)}`
    }
  }
}

/**
 * Reason: the connection to the other machine broke, or the server there stopped, before the answer came. The task may have run, as a
 * whole or in part, so only one that may run twice should be tried again.
 *
 * @category errors
 * @since 0.1.0
 */
export class Disconnected extends Schema.TaggedError<Disconnected>("@spillway/runtime/OffloadError/Disconnected")(
  "Disconnected",
  {
    /** The error of the connection. */
    error: Fault
  }
) {
  override get message() {
    return `the answer of the other machine was lost: ${describe(this.error, undefined)}`
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
  reason: Schema.Union([Saturated, TimedOut, DeadlinePassed, Crashed, Unavailable, Disconnected])
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
