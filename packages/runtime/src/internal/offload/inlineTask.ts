/** A task that runs on the caller's own thread, as a worker would run it: the messages of the two are passed by hand. */
import type { Transferable } from "node:worker_threads"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Tracer from "effect/Tracer"
import { CurrentDeadline } from "../../Deadline.ts"
import { OffloadDefect } from "../../OffloadError.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { BoundedCall } from "./boundedCall.ts"
import { toTraceparent } from "./traceparent.ts"
import { awaitsCredit, Cell, FromWorker, makeSharedSlots, ToWorker } from "./protocol.ts"
import type { EncodedPayload } from "./taskDefinition.ts"
import { CurrentTask } from "./worker/effectRunner.ts"
import { toThrown } from "./worker/effectStream.ts"
import { isPromise, sendBatches } from "./worker/streaming.ts"
import type { Batches } from "./worker/streaming.ts"
import { Task, TaskFailure } from "./worker/task.ts"
import type { Link } from "./worker/task.ts"

/**
 * Runs one task: as a `Runner` of a worker, except that what is an effect is forked by the task, and its fiber returned. `TestClock` waits
 * for the fibers that it wakes, but not for promises.
 */
export type InlineRunner = (payload: unknown, task: InlineTask) => unknown

/** The messages between threads are copies, and some of their parts move. */
const copy = <A>(message: A, transfer: ReadonlyArray<Transferable> | undefined): A =>
  structuredClone(message, { transfer: (transfer ?? []) as Array<Transferable> })

/** What a worker shares with its pool, for the one task that it runs. */
class InlineLink implements Link {
  readonly slots = makeSharedSlots(1)
  readonly #call: BoundedCall

  constructor(call: BoundedCall) {
    this.#call = call
    this.slots.state[0] = Cell.Running
    this.slots.credit[0] = call.request.options.bufferSize ?? 0
  }

  readonly post: Link["post"] = (message, transfer) => {
    const [type, , value] = copy(message, transfer) as ReadonlyArray<unknown>
    if (type === FromWorker.Items) return this.#call.emit(value as ReadonlyArray<unknown>)
    this.slots.progress[0] = 0
    this.#call.report(value)
  }

  /** Lets a stream send so many more items. Says whether it waited for that. */
  grant(items: number): boolean {
    const waited = this.slots.credit[0] === awaitsCredit
    this.slots.credit[0] = items + (waited ? 0 : this.slots.credit[0]!)
    return waited
  }
}

export class InlineTask extends Task {
  /** Whether the end of its work is certain, so that it is waited for also after an abortion. */
  ends: boolean
  override readonly remaining: () => number
  readonly #link: InlineLink
  readonly #span: Tracer.AnySpan | undefined

  constructor(call: BoundedCall, payload: unknown) {
    const { caller, deadline, options, task } = call.request
    const link = new InlineLink(call)
    super(link, [
      ToWorker.Run,
      0,
      task.index,
      payload,
      deadline === Infinity ? undefined : deadline,
      toTraceparent(caller)
    ])
    this.#link = link
    this.#span = caller.cache.span
    this.ends = (options.cancellation ?? task.cancellation) === "cooperative"
    const clock = caller.getRef(Clock.Clock)
    this.remaining = () => Math.max(0, deadline - monotonicMillis(clock))
    call.onGrant = (items) => {
      if (link.grant(items)) this.credit()
    }
  }

  get link(): Link {
    return this.#link
  }

  override abort(): void {
    this.#link.slots.state[0] = Cell.Aborted
    super.abort()
  }

  /** Runs a handler in its own context, with what travels to a worker. */
  fork(effect: Effect.Effect<unknown, unknown>, context: Context.Context<never>): Fiber.Fiber<unknown, unknown> {
    let own = context
    if (this.#span !== undefined) own = Context.add(own, Tracer.ParentSpan, this.#span)
    if (this.deadline !== undefined) own = Context.add(own, CurrentDeadline, this.deadline)
    this.ends = true
    const fiber = Effect.runForkWith(Context.add(own, CurrentTask, this))(effect)
    this.onAbort(() => fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation))
    return fiber
  }

  /** Sends encoded items as there is credit, and waits for some before more are made. */
  readonly write = (items: ReadonlyArray<unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { credit } = this.#link.slots
      const taken = Math.min(items.length, credit[0]!)
      if (taken > 0) {
        credit[0]! -= taken
        this.#link.post([FromWorker.Items, 0, items.slice(0, taken)], this.transfers)
        this.transfers = undefined
      }
      if (credit[0]! > 0) return Effect.void
      credit[0] = awaitsCredit
      const granted = Effect.callback<void>((resume) => this.onCredit(() => resume(Effect.void)))
      return taken === items.length ? granted : Effect.andThen(granted, this.write(items.slice(taken)))
    })
}

/** Runs one task, whose payload is encoded, and decodes its answer. */
export const runInline = (
  call: BoundedCall,
  { transfer, value }: EncodedPayload,
  runner: InlineRunner
): Effect.Effect<unknown, unknown> =>
  Effect.callback((resume) => {
    const { codec, name, stream } = call.request.task
    let task: InlineTask | undefined
    let onEnd = () => {}
    const end = (answer: () => Effect.Effect<unknown, unknown>) => {
      task?.end()
      try {
        resume(answer())
      } catch (uncloneable) {
        resume(die(uncloneable))
      }
      onEnd()
    }
    const die = (cause: unknown) => Effect.die(new OffloadDefect({ task: name, cause }))
    const succeed = (result: unknown) =>
      end(() => (stream ? Effect.void : codec.decodeSuccess(copy(result, task!.transfers))))
    const fail = (error: unknown) =>
      end(() => (error instanceof TaskFailure ? codec.decodeError(copy(error.error, task!.transfers)) : die(error)))
    try {
      const payload = copy(value, transfer)
      task = new InlineTask(call, payload)
      const result = runner(payload, task)
      if (Fiber.isFiber(result)) {
        result.addObserver((exit) => (Exit.isSuccess(exit) ? succeed(exit.value) : fail(toThrown(exit.cause, task!))))
      } else if (stream) sendBatches(task.link, task, result as Batches).then(succeed, fail)
      else if (isPromise(result)) result.then(succeed, fail)
      else succeed(result)
    } catch (error) {
      fail(error)
    }
    return Effect.callback<void>((resume) => {
      const ended = () => resume(Effect.void)
      if (task?.ends === true) onEnd = ended
      else ended()
      task?.abort()
    })
  })
