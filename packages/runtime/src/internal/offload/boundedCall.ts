/** One call of a task that runs in this process, as a fiber or by way of one: where it stands, and whom to tell. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Stats } from "../../Offload.ts"
import { OffloadDefect, OffloadError } from "../../OffloadError.ts"
import type { CallOptions } from "./executor.ts"
import type { TaskDefinition } from "./taskDefinition.ts"

/** How a call ended for its caller. */
export type Ending = keyof Stats["ended"]

export interface CallRequest {
  readonly task: TaskDefinition
  readonly payload: unknown
  readonly options: CallOptions
  /** Milliseconds of the monotonic clock; `Infinity` for none. */
  readonly deadline: number
  /** Milliseconds from the start; `Infinity` for none. */
  readonly timeout: number
  readonly caller: Fiber.Fiber<unknown, unknown>
}

export class BoundedCall {
  readonly request: CallRequest
  /** Milliseconds of the monotonic clock. */
  readonly submittedAt: number
  /** The fiber that waits for a permit, and then holds it until the work is truly done. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Is told how many items of a stream the consumer is done with. */
  onGrant: ((items: number) => void) | undefined = undefined
  readonly #emit: (items: ReadonlyArray<unknown>) => void
  #settle: ((exit: Exit.Exit<unknown, unknown>, ending: Ending) => void) | undefined

  constructor(
    request: CallRequest,
    submittedAt: number,
    settle: (exit: Exit.Exit<unknown, unknown>, ending: Ending) => void,
    emit: (items: ReadonlyArray<unknown>) => void
  ) {
    this.request = request
    this.submittedAt = submittedAt
    this.#settle = settle
    this.#emit = emit
  }

  /** Whether nobody waits for it any more. */
  get settled(): boolean {
    return this.#settle === undefined
  }

  /** Tells the caller how it ended. Only the first call counts. */
  settle(exit: Exit.Exit<unknown, unknown>, ending: Ending = endingOf(exit)): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(exit, ending)
  }

  /** Ends it for its caller at once, and the work when that has stopped. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    if (this.settled) return
    this.settle(exit)
    this.fiber?.interruptUnsafe(undefined)
  }

  /** Gives items of a stream to the consumer. */
  emit(items: ReadonlyArray<unknown>): void {
    if (!this.settled) this.#emit(items)
  }

  /** A listener that throws is a bug of the caller, and ends its call like one. */
  report(value: unknown): void {
    if (this.settled) return
    try {
      this.request.options.onProgress?.(value)
    } catch (error) {
      this.end(Exit.die(new OffloadDefect({ task: this.request.task.name, cause: error })))
    }
  }
}

const endingOf = (exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return "succeeded"
  const failure = Cause.findErrorOption(exit.cause)
  if (Option.isSome(failure))
    return failure.value instanceof OffloadError ? endings[failure.value.reason._tag] : "failed"
  return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "defect"
}

const endings: Record<OffloadError["reason"]["_tag"], Ending> = {
  Saturated: "saturated",
  TimedOut: "timedOut",
  DeadlinePassed: "deadlinePassed",
  Crashed: "crashed",
  Unavailable: "unavailable",
  Disconnected: "disconnected"
}
