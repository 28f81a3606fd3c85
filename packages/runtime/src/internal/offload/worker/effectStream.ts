/** Turns what the handler of a stream returns into batches that are made only when they are asked for. */
import type { Transferable } from "node:worker_threads"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isSuccess } from "./effectCodec.ts"
import type { Encode, Mover } from "./effectCodec.ts"
import type { Batches, NextBatch } from "./streaming.ts"
import type { Task } from "./task.ts"

/** What the handler of a stream may return. */
export type StreamResult =
  | Stream.Stream<unknown, unknown>
  | Effect.Effect<Queue.Dequeue<unknown, unknown>, unknown, Scope.Scope>

type Values = ReadonlyArray<unknown>

/** Takes values, and ends when more are wanted. */
export type Write = (values: Values) => Effect.Effect<void>

/** Runs a stream, or empties a queue. */
export const drain = (result: StreamResult, write: Write): Effect.Effect<void, unknown> => {
  if (!Effect.isEffect(result)) return Stream.runForEachArray(result, write)
  return result.pipe(
    Effect.flatMap((queue) => Effect.forever(Effect.flatMap(Queue.takeAll(queue), write), { disableYield: true })),
    Pull.catchDone(() => Effect.void),
    Effect.scoped
  )
}

/** The batches of a stream. One fiber runs it; that fiber waits from the end of one call of `next` to the following one. */
export class EffectBatches implements Batches {
  readonly #task: Task
  readonly #encode: Encode
  readonly #run: (write: Write) => Fiber.Fiber<unknown, unknown>
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #exit: Exit.Exit<unknown, unknown> | undefined = undefined
  /** Batches that are there to be taken. */
  #ready: Array<Batch> = []
  /** Lets the fiber go on. */
  #resume: (() => void) | undefined = undefined
  /** Is told of batches, and of the fiber's end. */
  #listener: (() => void) | undefined = undefined

  constructor(task: Task, encode: Encode, run: (write: Write) => Fiber.Fiber<unknown, unknown>) {
    this.#task = task
    this.#encode = encode
    this.#run = run
  }

  next(): NextBatch | Promise<NextBatch> {
    if (this.#ready.length === 0) this.#advance()
    if (this.#ready.length > 0 || this.#exit !== undefined) return this.#take()
    return this.#news().then(() => this.#take())
  }

  return(): Promise<void> | undefined {
    if (this.#fiber === undefined || this.#exit !== undefined) return undefined
    this.#fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation)
    return this.#exit === undefined ? this.#news() : undefined
  }

  #advance(): void {
    if (this.#fiber !== undefined) return this.#resume?.()
    const fiber = this.#run((values) =>
      Effect.flatMap(encodeItems(this.#encode, values), (ready) => this.#offer(ready))
    )
    this.#fiber = fiber
    this.#task.onAbort(() => fiber.interruptUnsafe(undefined, RpcSchema.ClientAbort.annotation))
    fiber.addObserver((exit) => {
      this.#exit = exit
      this.#tell()
    })
  }

  /** May be interrupted also within a handler that may not: there is nothing to be done but to wait. */
  readonly #offer = (ready: Array<Batch>): Effect.Effect<void> =>
    Effect.interruptible(
      Effect.callback((resume) => {
        this.#ready = ready
        this.#resume = () => resume(Effect.void)
        this.#tell()
      })
    )

  #take(): NextBatch {
    const batch = this.#ready.shift()
    if (batch !== undefined) {
      if (batch.transfers.length > 0) this.#task.transfer(undefined, batch.transfers)
      return { done: false, value: batch.items }
    }
    if (Exit.isFailure(this.#exit!)) throw toThrown(this.#exit.cause, this.#task)
    return { done: true, value: undefined }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#listener = resolve
    })
  }

  #tell(): void {
    const listener = this.#listener
    this.#listener = undefined
    listener?.()
  }
}

/** What a task ends with that has failed: its `TaskFailure`, or a defect. */
export const toThrown = (cause: Cause.Cause<unknown>, task: Task): unknown => {
  if (!Cause.hasInterruptsOnly(cause)) return Cause.squash(cause)
  return new Error(task.aborted ? "the task was aborted" : "the handler interrupted its own fiber")
}

/** Encoded items that go in one message, and what of them moves. */
class Batch implements Mover {
  readonly items: Array<unknown> = []
  readonly transfers: Array<Transferable> = []
  readonly transfer: Mover["transfer"] = (value, parts) => {
    this.transfers.push(...parts)
    return value
  }
}

const encodeItems = (encode: Encode, values: Values): Effect.Effect<Array<Batch>> => {
  const batch = new Batch()
  for (const value of values) {
    const encoded = encode(value, batch)
    if (!isSuccess(encoded)) return encodeEach(encode, values)
    batch.items.push(encoded.value)
  }
  return Effect.succeed([batch])
}

/** Items of which something moves are batches of their own: a batch may be cut, to be sent in parts. */
const encodeEach = (encode: Encode, values: Values): Effect.Effect<Array<Batch>> => {
  const encodeOne = (value: unknown) => {
    const batch = new Batch()
    return Effect.map(encode(value, batch), (item) => {
      batch.items.push(item)
      return batch
    })
  }
  return Effect.map(Effect.forEach(values, encodeOne), (batches) => {
    if (batches.some(({ transfers }) => transfers.length > 0)) return batches
    const all = new Batch()
    for (const { items } of batches) all.items.push(...items)
    return [all]
  })
}
