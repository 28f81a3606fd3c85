/**
 * A client that sends given bytes, each on a connection of its own, and says how the server took them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Answer, Parsed } from "./HttpAnswer.ts"
import { openSocket } from "./internal/openSocket.ts"
import { countBy, formatCounts, round } from "./internal/report.ts"
import { atMost, checkCount, checkInteger, checkMillis } from "./internal/swarm.ts"
import { Watched } from "./internal/Watched.ts"
import { resolve } from "./Target.ts"
import type { Input as TargetInput, Resolved } from "./Target.ts"

/**
 * What is sent on one connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input {
  /**
   * A name for the report. By default the number of the input, from 0.
   */
  readonly name?: string | undefined
  /** The bytes; a text is sent as Latin-1. */
  readonly bytes: string | Uint8Array
  /**
   * The methods of the requests in it, so that answers to HEAD are read as such.
   *
   * @default ["GET"]
   */
  readonly methods?: ReadonlyArray<string> | undefined
  /**
   * After so many whole answers the connection is not watched for its `timeout` any more, only for `settle`. An integer from 1. By default
   * the number of `methods`.
   */
  readonly expected?: number | undefined
}

/**
 * Options of `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many connections there are at once. An integer from 1, or `Infinity`.
   *
   * @default 16
   */
  readonly concurrency?: number | undefined
  /**
   * How long the server may take to answer or to end the connection before it `hang`s, and how long opening one may take. Above 0; `Infinity`
   * waits without limit.
   *
   * @default "2 seconds"
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * How long a connection is still watched when all answers that were expected have come: for one answer more than there were requests, or
   * the end. Above 0.
   *
   * @default "20 millis"
   */
  readonly settle?: Duration.Input | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { concurrency: 16, timeout: "2 seconds", settle: "20 millis" } as const satisfies Options

/**
 * How a server took what it was sent.
 *
 * - `answered`: with whole answers, and nothing else.
 * - `truncated`: the connection ended within an answer.
 * - `malformed`: what came is no HTTP answer.
 * - `closed`, `reset`: the connection ended without an answer.
 * - `hang`: there is no answer, or one that is not whole, and the connection is still open after `timeout`.
 * - `refused`: the connection was never open.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "answered" | "truncated" | "malformed" | "closed" | "reset" | "hang" | "refused"

/**
 * What became of one input.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  /** Its name, or its number. */
  readonly name: string
  /** How the server took it. */
  readonly verdict: Verdict
  /** The statuses of the whole final answers. */
  readonly statuses: ReadonlyArray<number>
  /** The answers with their bodies. */
  readonly answers: ReadonlyArray<Answer>
  /** What is wrong with what came, and where; `undefined` unless `malformed`. */
  readonly malformed: Parsed["malformed"]
  /** How the connection ended, `open` if it had not. */
  readonly ending: "refused" | "closed" | "reset" | "open"
  /** Milliseconds from the time the connection was open until it ended, or was not watched any more. */
  readonly afterMillis: number
}

/**
 * How a server took all inputs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** How many were sent. */
  readonly inputs: number
  /** How many were taken in each way; the sum is `inputs`. */
  readonly verdicts: Readonly<Record<Verdict, number>>
  /** The final answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Input by input, in their order. */
  readonly outcomes: ReadonlyArray<Outcome>
}

const none: Readonly<Record<Verdict, number>> = {
  answered: 0,
  truncated: 0,
  malformed: 0,
  closed: 0,
  reset: 0,
  hang: 0,
  refused: 0
}

const verdictOf = ({ answers, state }: Parsed, ending: Outcome["ending"]): Verdict => {
  if (state === "malformed") return "malformed"
  if (state === "partial") return ending === "open" ? "hang" : "truncated"
  if (answers.length > 0) return "answered"
  return ending === "open" ? "hang" : ending
}

const refused = (name: string): Outcome => ({
  name,
  verdict: "refused",
  statuses: [],
  answers: [],
  malformed: undefined,
  ending: "refused",
  afterMillis: 0
})

const settings = (options: Options) => {
  const { concurrency = defaults.concurrency, settle = defaults.settle, timeout = defaults.timeout } = options
  return {
    concurrency: checkCount("MalformedBytes.run: concurrency", concurrency),
    timeout: checkMillis("MalformedBytes.run: timeout", timeout),
    settle: checkMillis("MalformedBytes.run: settle", settle)
  }
}

const sendOne = Effect.fnUntraced(
  function* (target: Resolved, input: Input, name: string, { settle, timeout }: ReturnType<typeof settings>) {
    const { methods = ["GET"], expected = methods.length } = input
    checkInteger("MalformedBytes.run: expected", expected)
    const clock = yield* Clock.Clock
    const connection = new Watched(yield* openSocket(target, { connectTimeout: timeout }), clock, { methods })
    const parsed = () => connection.answers.parsed()
    const isDone = () => parsed().answers.length >= expected || parsed().state === "malformed"
    const write = connection.write(input.bytes)
    yield* atMost(Effect.andThen(write, connection.until(isDone)), timeout)
    if (isDone()) yield* atMost(connection.ended, settle)
    const last = parsed()
    return {
      name,
      verdict: verdictOf(last, connection.ending),
      statuses: last.answers.map(({ status }) => status),
      answers: last.answers,
      malformed: last.malformed,
      ending: connection.ending,
      afterMillis: round(connection.lived)
    }
  },
  Effect.scoped,
  (self, _target, _input, name) => Effect.catch(self, () => Effect.succeed<Outcome>(refused(name)))
)

/**
 * Sends each input on a connection of its own and reports how the server took it.
 *
 * **Details**
 *
 * It does not fail: connections that could not be opened are in the report. Interruption closes all connections at once.
 *
 * **Example** (Two lengths that differ)
 *
 * ```ts
 * const report = yield* MalformedBytes.run(server, [
 *   { name: "two lengths", bytes: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" }
 * ])
 * assert.deepStrictEqual(report.outcomes[0].statuses, [400])
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = (
  target: TargetInput,
  inputs: ReadonlyArray<Input | string | Uint8Array>,
  options: Options = {}
): Effect.Effect<Report> =>
  Effect.suspend(() => {
    const resolved = resolve(target)
    const settled = settings(options)
    const send = (given: Input | string | Uint8Array, n: number): Effect.Effect<Outcome> => {
      const input = typeof given === "string" || given instanceof Uint8Array ? { bytes: given } : given
      return sendOne(resolved, input, input.name ?? String(n), settled)
    }
    return Effect.map(Effect.forEach(inputs, send, { concurrency: settled.concurrency }), (outcomes) => ({
      inputs: outcomes.length,
      verdicts: { ...none, ...countBy(outcomes.map(({ verdict }) => verdict)) },
      statuses: countBy(outcomes.flatMap(({ statuses }) => statuses)),
      outcomes
    }))
  })

/**
 * A report as a few lines of text, to be read by people: its wording may change. Inputs that were answered are counted, the others named.
 *
 * @category combinators
 * @since 0.1.0
 */
export const format = ({ inputs, outcomes, statuses, verdicts }: Report): string => {
  const others = outcomes.filter(({ verdict }) => verdict !== "answered")
  const lines = others.map(({ afterMillis, malformed, name, verdict }) => {
    const reason = malformed === undefined ? "" : `: ${malformed.reason} at byte ${malformed.at}`
    return `  ${name}: ${verdict} after ${Math.round(afterMillis)} ms${reason}`
  })
  return [`${inputs} inputs: ${formatCounts(verdicts)}; statuses: ${formatCounts(statuses)}`, ...lines].join("\n")
}
