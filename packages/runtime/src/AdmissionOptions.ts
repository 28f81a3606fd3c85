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
 * - `adaptive` is `fifo`, and `lifo` while `CoDel` finds the queue overloaded, or one has waited for more than twice its target
 *   ("Fail at Scale", ACM Queue 2015, which switches when a queue forms). Together with `codel` it is right for callers that wait
 *   for an answer: under twice the load that can be carried it keeps the wait of nearly all that are served at a few times the time
 *   that one takes. Without, CoDel measures with its defaults and only chooses the order.
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
  /** Takes one of the places to wait, if one is free. Says whether it did. Absent where the queues share no places. */
  enqueue?(): boolean
  /** Gives a place to wait back. */
  dequeue?(): void
}

/**
 * When what waits is shed: the options of `CoDel`, and how they follow the work.
 *
 * @category options
 * @since 0.1.0
 */
export interface SheddingOptions extends CoDel.Options {
  /**
   * The target becomes the mean time in milliseconds that permits are held, where that is longer than `target`, up to this; the interval
   * grows in proportion. A queue that is no longer than the work itself takes is no overload. Nothing grows unless it is above `target`.
   *
   * @default 0
   */
  readonly maxTarget?: number | undefined
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
   * Each time that a permit is free, the delay that counts is that of the entry that waited longest, whatever the order: a delay taken from
   * the newest would say that no queue stands. Each priority class of each partition is judged for itself (as each flow is by FQ-CoDel, RFC
   * 8290): who comes first is not late because others wait. Shed is the one that waited longest in the least urgent class that is overloaded
   * and has one so late, but never one for which a permit would stay unused. One for which nobody had to wait is a delay of 0. Entries that
   * came back by `requeue` are neither counted nor shed.
   *
   * @default undefined
   */
  readonly codel?: SheddingOptions | undefined
  /**
   * The shares of the partitions, finite numbers above 0, relative to their sum: groups of entries, by tenant or by route for example,
   * of which none can keep the others from their share of permits and of places to wait.
   *
   * What a partition does not use the others may. A partition that has fewer permits than its share of `limit`, rounded down, gets one
   * also when all are out, as in Netflix's `AbstractPartitionedLimiter`: `running` may exceed `limit` by what others had borrowed of its
   * share. Those whose share is less than one permit get one in the same way, as long as the guarantees of all together are no more than
   * `limit` (Netflix's have no such bound: of 50 partitions each gets one, whatever the limit). So `running` stays below twice the `limit`,
   * unless `resize` made that smaller, and with more partitions than permits they take turns. Where several wait, the partition is served
   * whose permits were out for the least time over its share (start-time fair queueing, Goyal 1996, with the time that permits were held
   * for the length of a packet).
   *
   * Priorities order the entries of one partition: a permit goes to the partition whose turn it is, whatever waits in the others. With
   * places to wait it is the urgent that comes first: a partition takes back places of its share only from entries that are not more
   * urgent than the one that needs it. While others fill the queue with what is more urgent, it has only its permits.
   *
   * @default [1]
   */
  readonly partitions?: ReadonlyArray<number> | undefined
  /**
   * Permits that this queue shares with others: it admits what is within `limit` and for which the budget has a permit. `undefined`
   * shares nothing.
   *
   * @default undefined
   */
  readonly budget?: Budget | undefined
}
