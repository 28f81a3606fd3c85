/**
 * The worker side of `Offload`: a worker file calls `serve` with its handlers. It loads no module of Effect, so a worker thread
 * starts in the time of a bare one (about 60 ms instead of 400 ms) and takes its memory.
 *
 * @since 0.1.0
 */
import { parentPort, workerData } from "node:worker_threads"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { Cell, monotonicMillis, toErrorData, workerDataKey } from "./internal/offload/protocol.ts"
import type { Boot, FromWorker, RunMessage, SharedSlots, ToWorker } from "./internal/offload/protocol.ts"

/**
 * What a handler is told about its task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskContext<in E> {
  /**
   * Aborts when the caller was interrupted or the task's time is over. `signal.aborted` is up to date inside a synchronous loop too,
   * which is how a computation can end of its own accord instead of with its thread.
   */
  readonly signal: AbortSignal
  /** The time by which the caller needs the answer, in milliseconds of the monotonic clock; `undefined` when there is none. */
  readonly deadline: number | undefined
  /** Milliseconds until `deadline`, never below 0; `Infinity` when there is none. */
  readonly remaining: () => number
  /** Makes the value to throw for the task's declared error, given in its encoded form: `throw fail({ ... })`. */
  readonly fail: (error: E) => TaskFailure
}

/**
 * What a handler throws to fail with its declared error. Made by `TaskContext.fail`.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskFailure {
  /** The declared error, encoded. */
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/**
 * The handler of one task: takes the payload as the schema encodes it and returns the result, or a promise of it, encoded likewise.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<R extends Rpc.Any> =
  R extends Rpc.Rpc<infer _Tag, infer Payload, infer Success, infer Error, infer _Middleware, infer _Requires>
    ? (
        payload: Payload["Encoded"],
        context: TaskContext<Error["Encoded"]>
      ) => Success["Encoded"] | Promise<Success["Encoded"]>
    : never

/**
 * A handler for every task of a group.
 *
 * @category models
 * @since 0.1.0
 */
export type Handlers<G extends RpcGroup.Any> = {
  readonly [Tag in RpcGroup.Rpcs<G>["_tag"]]: Handler<Extract<RpcGroup.Rpcs<G>, { readonly _tag: Tag }>>
}

/**
 * Options of `serve`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Runs when the pool closes and this worker's tasks have ended: close files and connections here. Killing a worker skips it. The
   * pool waits for it for a second.
   *
   * @default nothing
   */
  readonly close?: (() => void | Promise<void>) | undefined
}

type AnyHandler = (payload: unknown, context: TaskContext<unknown>) => unknown

/** The context of a task. The signal is made when it is first asked for: most tasks never do. */
class Task implements TaskContext<unknown> {
  readonly deadline: number | undefined
  readonly #slots: SharedSlots
  readonly #slot: number
  #controller: AbortController | undefined = undefined
  constructor(slots: SharedSlots, message: RunMessage) {
    this.#slots = slots
    this.#slot = message.slot
    this.deadline = message.deadline
  }
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController()
      const isAborted = () => Atomics.load(this.#slots.cells, this.#slot) === Cell.Aborted
      if (isAborted()) controller.abort()
      // A synchronous handler never gets to the message that aborts it, but it can see the shared cell.
      Object.defineProperty(controller.signal, "aborted", { get: () => this.#ended ?? isAborted() })
      this.#controller = controller
    }
    return this.#controller.signal
  }
  #ended: boolean | undefined = undefined
  readonly remaining = () => (this.deadline === undefined ? Infinity : Math.max(0, this.deadline - monotonicMillis()))
  readonly fail = (error: unknown) => new TaskFailure(error)
  abort() {
    this.#controller?.abort()
  }
  /** Freezes `signal.aborted`: the slot is about to belong to another task. */
  end() {
    this.#ended = Atomics.load(this.#slots.cells, this.#slot) === Cell.Aborted
  }
}

/**
 * Serves the tasks of a group in this worker thread.
 *
 * **Details**
 *
 * Call it once, at the top level of the worker file. `handlers` are plain functions, or a function that makes them, sync or async,
 * from the pool's `data`: open files and warm up there, once a worker. If it throws, the worker counts as unable to start.
 *
 * A thrown `fail(error)` is the task's declared error; anything else thrown is a defect that carries the task's name and the error's
 * name, message and stack. The worker lives on in both cases. Throws an `Error` outside a worker of an offload pool.
 *
 * **Example** (One task)
 *
 * ```ts
 * serve<typeof Images>({ thumbnail: ({ image, width }, { signal }) => resize(image, width, signal) })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const serve = <G extends RpcGroup.Any, Data = undefined>(
  handlers: Handlers<G> | ((data: Data) => Handlers<G> | Promise<Handlers<G>>),
  options: Options = {}
): void => {
  const boot = workerData?.[workerDataKey] as Boot | undefined
  if (parentPort === null || boot === undefined) {
    throw new Error(
      "OffloadWorker.serve: this file is a worker of Offload.layerThreads and does nothing when run by itself"
    )
  }
  void start(boot, handlers as ReadonlyHandlers | ((data: unknown) => ReadonlyHandlers), options)
}

type ReadonlyHandlers = Readonly<Record<string, AnyHandler>>

const post = (message: FromWorker) => parentPort!.postMessage(message)

const start = async (
  boot: Boot,
  make: ReadonlyHandlers | ((data: unknown) => ReadonlyHandlers | Promise<ReadonlyHandlers>),
  options: Options
): Promise<void> => {
  let handlers: ReadonlyHandlers
  try {
    handlers = typeof make === "function" ? await make(boot.data) : make
  } catch (error) {
    return post({ type: "cannotStart", error: toErrorData(error) })
  }
  const running = new Map<number, Task>()
  let closing = false

  const settle = (slot: number, message: FromWorker) => {
    running.get(slot)?.end()
    running.delete(slot)
    try {
      post(message)
    } catch (error) {
      post({ type: "defect", slot, error: toErrorData(error) })
    }
    if (closing && running.size === 0) void end()
  }

  const settleError = (slot: number, error: unknown) =>
    settle(
      slot,
      error instanceof TaskFailure
        ? { type: "failed", slot, error: error.error }
        : { type: "defect", slot, error: toErrorData(error) }
    )

  const run = (message: RunMessage) => {
    const { slot } = message
    boot.slots.startedAt[slot] = monotonicMillis()
    const claimed = Atomics.compareExchange(boot.slots.cells, slot, Cell.Posted, Cell.Running) === Cell.Posted
    if (!claimed) return post({ type: "skipped", slot })
    const task = new Task(boot.slots, message)
    running.set(slot, task)
    try {
      const result = handlers[message.task]!(message.payload, task)
      if (!isPromise(result)) return settle(slot, { type: "succeeded", slot, value: result })
      result.then(
        (value) => settle(slot, { type: "succeeded", slot, value }),
        (error: unknown) => settleError(slot, error)
      )
    } catch (error) {
      settleError(slot, error)
    }
  }

  const end = async () => {
    try {
      await options.close?.()
    } finally {
      parentPort!.close()
    }
  }

  parentPort!.on("message", (message: ToWorker) => {
    if (message.type === "run") return run(message)
    if (message.type === "abort") return running.get(message.slot)?.abort()
    if (message.type === "ping") return post({ type: "pong" })
    closing = true
    if (running.size === 0) void end()
  })
  post({ type: "ready", tasks: Object.keys(handlers) })
}

const isPromise = (u: unknown): u is PromiseLike<unknown> =>
  typeof u === "object" && u !== null && "then" in u && typeof u.then === "function"
