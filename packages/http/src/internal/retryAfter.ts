import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"

/**
 * For how many milliseconds a response asks its client to wait: by `Retry-After`, else by the `RateLimit` field of the policies that
 * have nothing left. `undefined` if it does not say, or says it in no form of the RFCs. `now` is wall time in milliseconds.
 */
export const retryAfterMillis = (headers: Headers.Headers, now: number): number | undefined => {
  const retryAfter = headers["retry-after"]
  const parsed = retryAfter === undefined ? undefined : Result.getOrUndefined(Headers.parseRetryAfter(retryAfter))
  if (parsed !== undefined) return Duration.toMillis(Headers.retryAfterDelay(parsed, serverTime(headers) ?? now))
  return headers.ratelimit === undefined ? undefined : windowMillis(headers.ratelimit)
}

/** A date in `Retry-After` is one of the server's clock, which need not be ours. */
const serverTime = ({ date }: Headers.Headers): number | undefined => {
  const parsed = date === undefined ? undefined : Result.getOrUndefined(Headers.parseHttpDate(date))
  return parsed === undefined ? undefined : DateTime.toEpochMillis(parsed)
}

// Bounds what a hostile field costs: the search begins anew at each quotation mark.
const maxLength = 1024

// A member of a structured list (RFC 9651): a string and its parameters, whose values may be strings, too.
const member = /"(?:[^"\\]|\\.)*"((?: *; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\.)*"|[^;, "]*))?)*)/g

/**
 * The largest `t` of the members without quota (`r=0`) of a `RateLimit` field, draft-ietf-httpapi-ratelimit-headers-11, in
 * milliseconds.
 */
const windowMillis = (field: string): number | undefined => {
  if (field.length > maxLength) return undefined
  let largest: number | undefined
  for (const [, parameters = ""] of field.matchAll(member)) {
    const bare = parameters.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    const seconds = /; *t=(\d{1,15})(?= *(?:;|$))/.exec(bare)?.[1]
    if (seconds === undefined || !/; *r=0(?= *(?:;|$))/.test(bare)) continue
    largest = Math.max(largest ?? 0, Number(seconds) * 1000)
  }
  return largest
}
