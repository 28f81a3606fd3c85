/** One request on a connection of its own, sent and awaited in two steps, so that one can watch how long it waits. */
import * as HttpAnswer from "@spillway/http/testing/HttpAnswer"
import * as HttpRequest from "@spillway/http/testing/HttpRequest"
import * as RawClient from "@spillway/http/testing/RawClient"
import { Clock, Data, Duration, Effect } from "effect"

/** The connection ended before there was an answer, or what came was no HTTP. */
export class Unanswered extends Data.TaggedError("Unanswered")<{ readonly url: string; readonly state: string }> {
  override get message() {
    return `${this.url} gave no answer (${this.state})`
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
  /** From before the client connected. */
  readonly duration: Duration.Duration
}

/** Connects and sends the request. The answer may be waited for more than once; the connection ends with the scope. */
export const send = Effect.fnUntraced(function* (url: string, request: HttpRequest.HttpRequest = {}) {
  const began = yield* Clock.monotonicTimeNanos
  const connection = yield* RawClient.connect(url)
  const headers = { Connection: "close", ...request.headers }
  yield* connection.write(HttpRequest.encode(url, { ...request, headers }))
  const answer = Effect.gen(function* () {
    const { answers, state } = yield* connection.answers(1, [request.method ?? "GET"])
    const ended = yield* Clock.monotonicTimeNanos
    const [first] = answers
    if (first === undefined) return yield* new Unanswered({ url, state })
    return {
      status: first.status,
      body: HttpAnswer.text(first),
      duration: Duration.nanos(ended - began)
    } satisfies Answer
  })
  return { answer }
})

/** Sends a request and waits, without limit, for its answer. */
export const ask = (url: string, request?: HttpRequest.HttpRequest) =>
  Effect.scoped(Effect.flatMap(send(url, request), ({ answer }) => answer))

/** The median of five durations, one after the other: the first requests of a process take longer than the next ones. */
export const typical = <E, R>(once: Effect.Effect<Duration.Duration, E, R>) =>
  Effect.map(Effect.replicateEffect(once, 5), (durations) => durations.toSorted(Duration.Order)[2]!)
