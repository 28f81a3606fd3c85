/**
 * What the clients of this kit that hold connections have in common: how many, how long, and the report of how each of them ended.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * Options that each attack takes.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many connections there are. An integer from 1.
   *
   * @default 10
   */
  readonly connections?: number | undefined
  /**
   * How long each connection is watched from the time it was open: those that live longer are reported as `open` and then closed. Above 0;
   * `Infinity` waits without limit.
   *
   * @default "30 seconds"
   */
  readonly duration?: Duration.Input | undefined
  /**
   * How many connections are being opened at once. An integer from 1, or `Infinity`.
   *
   * @default 100
   */
  readonly connectConcurrency?: number | undefined
  /**
   * How long opening one may take before it counts as `refused`. Above 0; `Infinity` leaves it to the system (minutes).
   *
   * @default "10 seconds"
   */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = {
  connections: 10,
  duration: "30 seconds",
  connectConcurrency: 100,
  connectTimeout: "10 seconds"
} as const satisfies Options

/**
 * How a connection ended.
 *
 * - `refused`: it was never open; `errors` of the report counts the codes of the system, of which `EMFILE` and the like are our own side's.
 * - `closed`: the server closed it in order.
 * - `reset`: the server reset it.
 * - `open`: it had not ended when we stopped watching.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending = "refused" | "closed" | "reset" | "open"

/**
 * The least, the middle and the greatest of some numbers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spread {
  /** The least. */
  readonly min: number
  /** The middle one, the lower of two. */
  readonly median: number
  /** The greatest. */
  readonly max: number
}

/**
 * Connections that ended in the same way with the same answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  /** How they ended. */
  readonly ending: Ending
  /** The statuses of the final answers that each received, in their order: `[408]`, or `[]`. */
  readonly statuses: ReadonlyArray<number>
  /** How many there are. */
  readonly count: number
  /** How long they lived from the time they were open, in milliseconds. Refused ones: 0. */
  readonly afterMillis: Spread
  /** Bytes that each sent. */
  readonly sentBytes: Spread
  /** Bytes that each received. */
  readonly receivedBytes: Spread
  /** What the first of them received, as Latin-1, at most 512 bytes of it. */
  readonly received: string
}

/**
 * What became of the connections of an attack.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** How many were tried. */
  readonly connections: number
  /** How many ended in each way; the sum is `connections`. */
  readonly endings: Readonly<Record<Ending, number>>
  /** The final answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** The refused ones by the code of the system. */
  readonly errors: Readonly<Record<string, number>>
  /** How long opening one took, in milliseconds; `undefined` if none was open. */
  readonly connectMillis: Spread | undefined
  /** How long those that the server ended had lived, in milliseconds; `undefined` if it ended none. */
  readonly endedAfterMillis: Spread | undefined
  /** The same, apart by ending and statuses, the most frequent first. */
  readonly outcomes: ReadonlyArray<Outcome>
}

const millisOf = ({ max, min }: Spread): string => {
  const [from, to] = [`${Math.round(min)}`, `${Math.round(max)}`]
  return from === to ? `${to} ms` : `${from} to ${to} ms`
}

const bytesOf = ({ max, min }: Spread): string => (min === max ? `${max}` : `${min} to ${max}`)

const outcomeLine = ({ afterMillis, count, ending, receivedBytes, sentBytes, statuses }: Outcome): string => {
  if (ending === "refused") return `  ${count} refused`
  const answers = statuses.length === 0 ? "no answer" : `answered ${statuses.join(", ")}`
  const bytes = `${bytesOf(sentBytes)} bytes sent, ${bytesOf(receivedBytes)} received`
  return `  ${count} ${ending} after ${millisOf(afterMillis)}, ${answers}, ${bytes}`
}

/**
 * A report as a few lines of text, to be read by people: its wording may change.
 *
 * @category combinators
 * @since 0.1.0
 */
export const format = ({ connections, errors, outcomes }: Report): string => {
  const codes = Object.entries(errors).map(([code, count]) => `  ${count} ${code}`)
  return [`${connections} connections`, ...outcomes.map(outcomeLine), ...codes].join("\n")
}
