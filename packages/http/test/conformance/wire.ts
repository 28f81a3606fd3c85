import type { HttpServerResponse } from "effect/http"
import { HttpServer, HttpServerRequest } from "effect/http"
import { HttpServerResponse as Response } from "effect/http"
import { HttpAnswer, RawClient } from "@spillway/http/testing"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { soon } from "../fixture.ts"

export type Bytes = string | Uint8Array

export interface Exchanged {
  readonly answers: ReadonlyArray<HttpAnswer.Answer>
  readonly statuses: ReadonlyArray<number>
  /** Statuses of 1xx, wherever they came. */
  readonly interim: ReadonlyArray<number>
  readonly ending: RawClient.Ending
}

export const toBytes = (bytes: Bytes): Uint8Array => (typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes)

/** What a connection received, which must be whole answers to requests of these methods. */
export const parseAll = (
  received: string,
  ending: RawClient.Ending,
  methods: ReadonlyArray<string> = []
): Exchanged => {
  const parsed = HttpAnswer.parse(received, { methods, ended: ending === "closed" })
  assert.include(["complete", "upgraded"], parsed.state, `${parsed.malformed?.reason}: ${JSON.stringify(received)}`)
  return {
    answers: parsed.answers,
    statuses: parsed.answers.map(({ status }) => status),
    interim: [...parsed.answers.flatMap(({ interim }) => interim), ...parsed.interim].map(({ status }) => status),
    ending
  }
}

/** Sends bytes, and waits until the server has closed the connection. `end` closes our side first, once all is sent. */
export const exchange = (
  server: RawClient.Target,
  bytes: Bytes,
  options: { readonly methods?: ReadonlyArray<string>; readonly end?: boolean } = {}
): Effect.Effect<Exchanged, RawClient.ConnectFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* RawClient.connect(server)
      yield* client.write(toBytes(bytes))
      if (options.end === true) yield* client.end
      const ending = yield* soon(client.ended)
      return parseAll(yield* client.received, ending, options.methods)
    })
  )

export interface Echo {
  readonly app: ReturnType<typeof HttpServer.serve<unknown, HttpServerRequest.HttpServerRequest>>
  /** Method and target of each request that reached the handler. */
  readonly handled: ReadonlyArray<string>
}

/** An app that reads each body and answers with what it took the request for: method and target on a line, then the body. */
export const makeEcho = (): Echo => {
  const handled: Array<string> = []
  const handler = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const line = `${request.method} ${(request.source as IncomingMessage).url}`
    handled.push(line)
    const body = Buffer.from(yield* request.arrayBuffer).toString("latin1")
    return Response.uint8Array(Buffer.from(`${line}\n${body}`, "latin1"))
  })
  return { app: HttpServer.serve(handler), handled }
}

/** A handler that answers without a look at the body. */
export const answering = (response: HttpServerResponse.HttpServerResponse) => HttpServer.serve(Effect.succeed(response))

export const problemStatus = ({ body, headers }: HttpAnswer.Answer): unknown =>
  headers["content-type"] === "application/problem+json"
    ? (JSON.parse(Buffer.from(body).toString()) as { readonly status: number }).status
    : headers["content-type"]

/** Whether the answer says that the connection ends with it. */
export const saysClose = ({ headers }: HttpAnswer.Answer): boolean => headers["connection"]?.toLowerCase() === "close"

/** Asserts that the last answer is a refusal of this status with a problem, that says close, and that the server closed. */
export const assertRefused = (exchanged: Exchanged, statuses: ReadonlyArray<number>, message = ""): void => {
  const last = exchanged.answers.at(-1)
  assert.include(statuses, last?.status, message)
  assert.strictEqual(problemStatus(last!), last!.status, message)
  assert.isTrue(saysClose(last!), message)
  assert.strictEqual(exchanged.ending, "closed", message)
}
