/**
 * What `AdmissionQueue.make` takes.
 *
 * @since 0.1.0
 */
import type * as CoDel from "./CoDel.ts"

/**
 * Which of the waiting entries is served next: the one that waited longest (`fifo`), the newest (`lifo`), or as the load is
 * (`adaptive`).
 *
 * **Details**
 *
 * - `fifo` is fair, and right where the work is never more than the capacity for long.
 * - `lifo` keeps the wait of those that are served short while there is more work than capacity, at the price of the oldest, whose
 *   callers have most likely given up. It is unfair also when all would be served in time.
 * - `adaptive` is `fifo`, and `lifo` while `CoDel` finds the queue overloaded ("Fail at Scale", ACM Queue 2015, which switches when
 *   a queue forms; CoDel's state does not take a burst for an overload). Together with `codel` it is right for callers that wait
 *   for an answer. Without, CoDel measures with its defaults and only chooses the order.
 *
 * An entry that came back by `requeue` is served before the others of its class in any order: its turn had come.
 *
 * @category models
 * @since 0.1.0
 */
export type Order = "fifo" | "lifo" | "adaptive"

/**
 * Permits that several queues have in common, in several threads for example. Each queue asks it whenever a permit is free of its own.
 *
 * **Details**
 *
 * What it refuses waits like everything for which no permit is free. Whoever owns the queue calls `poll` when there may be a permit
 * again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  /** Takes a permit of those that are shared, if one may be had. Says whether it did. */
  take(): boolean
  /** Gives a permit back. */
  give(): void
  /** Entries that wait in all queues together. */
  readonly queued: number
}

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The number of permits: how many entries may be inside at once. An integer from 0, or `Infinity` for no limit. `0` admits
   * nothing until `resize`.
   */
  readonly limit: number
  /** How many entries may wait. An integer from 0, or `Infinity` for no bound. `0` refuses whatever cannot start at once. */
  readonly maxQueued: number
  /**
   * The longest wait in milliseconds, from 0. `Infinity` waits without limit.
   *
   * @default Infinity
   */
  readonly maxWait?: number | undefined
  /**
   * Which waiting entry of a class is served next.
   *
   * @default "fifo"
   */
  readonly order?: Order | undefined
  /**
   * The number of priority classes, an integer from 1. A permit goes to the most urgent class that has an entry.
   *
   * @default 1
   */
  readonly priorities?: number | undefined
  /**
   * Sheds what waits for too long while the queue is overloaded, by the rule of `CoDel`: of use where a late answer is worth less
   * than an early refusal. `{}` takes the defaults of `CoDel`, `undefined` sheds nothing.
   *
   * Each time that a permit is free, the delay that counts is that of the entry that waited longest, in any class and whatever the
   * order: a delay taken from the newest would say that no queue stands. It is that entry which is shed, but never one for which a
   * permit would stay unused. One for which nobody had to wait is a delay of 0. Entries that came back by `requeue` are neither
   * counted nor shed.
   *
   * @default undefined
   */
  readonly codel?: CoDel.Options | undefined
  /**
   * Permits that this queue shares with others: it admits what is within `limit` and for which the budget has a permit. `undefined`
   * shares nothing.
   *
   * @default undefined
   */
  readonly budget?: Budget | undefined
}
