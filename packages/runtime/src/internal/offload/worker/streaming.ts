/**
 * Sends the items of a stream as fast as the consumer takes them. No module of Effect may be imported here: plain workers load this
 * file.
 *
 * The consumer grants credit, in shared memory: each item costs one, and at zero the producer is not asked for more until a message
 * brings credit. So at most that many items are under way, and a consumer that keeps up costs no message.
 */
import { awaitsCredit, FromWorker, monotonicMillis } from "../protocol.ts"
import type { Link, Task } from "./task.ts"

/** What a stream's handler returns: batches of items. An iterator that may answer at once or later. */
export interface Batches {
  readonly next: () => NextBatch | PromiseLike<NextBatch>
  /** Ends the producer. */
  readonly return?: () => unknown
}

export type NextBatch = IteratorResult<ReadonlyArray<unknown>>

/** How long a producer that never waits may keep the thread's event loop waiting, in milliseconds. */
const longestTurn = 10

/** Sends batch after batch. Ends early, and the producer with it, when the task is aborted. */
export const sendBatches = async (link: Link, task: Task, batches: Batches): Promise<void> => {
  let turn = monotonicMillis()
  /** Whether the producer has more to give, and so has to be told when no more is wanted. */
  let open = true
  try {
    while (!task.aborted) {
      if (!hasCredit(link, task)) {
        await creditOf(task)
        continue
      }
      open = false
      const next = batches.next()
      const result = isPromise(next) ? await next : next
      if (result.done === true) return
      open = true
      await send(link, task, result.value)
      if (monotonicMillis() - turn > longestTurn) {
        await nextTurn()
        turn = monotonicMillis()
      }
    }
  } finally {
    if (open) await batches.return?.()
  }
}

const send = async (link: Link, task: Task, items: ReadonlyArray<unknown>): Promise<void> => {
  let rest = items
  while (rest.length > 0 && !task.aborted) {
    const granted = takeCredit(link, task, rest.length)
    if (granted === 0) {
      await creditOf(task)
      continue
    }
    const transfers = task.transfers
    task.transfers = undefined
    const batch = rest.length === granted ? rest : rest.slice(0, granted)
    link.post([FromWorker.Items, task.slot, batch, transfers], transfers)
    rest = rest.slice(granted)
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Waits for a message that brings credit, or aborts the task. */
const creditOf = (task: Task) => new Promise<void>((resolve) => task.onCredit(resolve))

/** Whether there is credit. If not it leaves word that a message is needed. */
const hasCredit = ({ slots: { credit } }: Link, { slot }: Task): boolean =>
  Atomics.load(credit, slot) > 0 || Math.max(Atomics.compareExchange(credit, slot, 0, awaitsCredit), 0) > 0

/** Takes up to `wanted` of the credit that there is. At none it leaves word that a message is needed, and returns 0. */
const takeCredit = ({ slots: { credit } }: Link, { slot }: Task, wanted: number): number => {
  for (;;) {
    const available = Atomics.load(credit, slot)
    const taken = Math.min(Math.max(available, 0), wanted)
    const left = taken === 0 ? awaitsCredit : available - taken
    if (Atomics.compareExchange(credit, slot, available, left) === available) return taken
  }
}

/** Makes batches of what a plain handler returns. Each item is one of its own: one that is there must not wait for the next. */
export const toBatches = (items: unknown): Batches => {
  const source = items as Partial<Iterable<unknown> & AsyncIterable<unknown>>
  const iterator = source?.[Symbol.asyncIterator]?.() ?? source?.[Symbol.iterator]?.()
  if (iterator === undefined) throw new TypeError("the handler of a stream must return something to iterate over")
  const wrap = (result: IteratorResult<unknown>): NextBatch =>
    result.done === true ? { done: true, value: undefined } : { done: false, value: [result.value] }
  return {
    next: () => {
      const next = iterator.next()
      return isPromise(next) ? next.then(wrap) : wrap(next)
    },
    return: () => iterator.return?.()
  }
}

export const isPromise = (u: unknown): u is PromiseLike<unknown> =>
  typeof u === "object" && u !== null && "then" in u && typeof u.then === "function"
