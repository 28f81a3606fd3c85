import * as Effect from "effect/Effect"
import type { HttpBody } from "effect/http/HttpBody"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"

/** Whether a body can be sent again. A stream may be gone after the first time, and nobody can tell. */
export const isReplayable = (body: HttpBody): boolean => {
  switch (body._tag) {
    case "Empty":
    case "Uint8Array":
    case "FormData":
      return true
    case "Raw":
      return isValue(body.body)
    case "Stream":
      return false
  }
}

const isValue = (body: unknown): boolean =>
  typeof body === "string" ||
  body === null ||
  body === undefined ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body) ||
  body instanceof Blob ||
  body instanceof URLSearchParams ||
  body instanceof FormData

/** What is worth reading to keep a connection. Answers that ask to come again are shorter. */
const maxDiscarded = 16_384

/** How long that may take: a new connection is made sooner than a slow answer is read. */
const maxWait = "100 millis"

/** Reads the rest of a response that nobody wants, so that its connection can be used again; one that is long or slow is closed. */
export const discard = (response: HttpClientResponse): Effect.Effect<void> => {
  let bytes = 0
  return response.stream.pipe(
    Stream.runForEachWhile((chunk) => {
      bytes += chunk.length
      return Effect.succeed(bytes <= maxDiscarded)
    }),
    Effect.timeoutOption(maxWait),
    // A body that breaks off has given its connection back, too, and its status has been acted on already.
    Effect.ignore
  )
}
