import { HttpAnswer } from "@spillway/http/testing"
import type { Input } from "./mutate.ts"
import type { Outcome } from "./play.ts"
import { readRequests } from "./strictRequest.ts"
import type { Reading, Start, StrictRequest } from "./strictRequest.ts"

/** A connection keeps so many pipelined requests; more are refused with 503. */
const maxPipelined = 32

/** What is wrong with what came back, or `undefined`. The part before the colon names the kind. */
export const judge = (input: Input, reading: Reading, outcome: Outcome): string | undefined => {
  const complaint = judgeReading(input, reading, outcome)
  if (complaint === undefined || reading.requests.at(-1)?.upgrades !== true) return complaint
  // RFC 9110 section 7.8: an upgrade may be ignored.
  return judgeReading(input, readRequests(input.bytes, true), outcome)
}

const judgeReading = (input: Input, reading: Reading, outcome: Outcome): string | undefined => {
  if (input.ending === "reset") return undefined
  if (outcome.ending === "hung") return "hang: the connection did not end"
  const { answers, malformed, state } = parse(input, reading, outcome)
  if (state === "malformed") return `malformed answer: ${malformed!.reason}`
  if (state === "partial") return `partial answer: after ${answers.length} whole ones`
  const { requests, tail } = reading
  const hasEnded = input.ending === "end" || tail._tag === "Broken"
  for (const [i, answer] of answers.entries()) {
    const request = requests[i] ?? tail
    const complaint = judgeStatus(answer, request, requests.length) ?? judgeAnswer(answer, request, hasEnded)
    if (complaint !== undefined) return `${complaint} (answer ${i + 1} of ${answers.length})`
    if (isLast(answer) && i + 1 < answers.length) return `answer after close: ${answers.length - i - 1} too many`
  }
  const expected = requests.length
  const most = expected + (tail._tag === "Broken" ? 1 : 0)
  if (answers.length > most) return `too many answers: ${answers.length} to ${most} requests`
  const last = answers.at(-1)
  if (answers.length < expected && (last === undefined || !isLast(last))) {
    return `unanswered: ${answers.length} answers to ${expected} valid requests`
  }
  return undefined
}

/**
 * The answers. A refusal of what could not be read has a body even if it begins with HEAD; and what breaks off may have been read far
 * enough to be known as HEAD, whose answer has none.
 */
const parse = ({ bytes }: Input, { requests, tail }: Reading, { ending, received }: Outcome) => {
  const methods = requests.map(({ method }) => method)
  const ended = ending === "closed"
  const parsed = HttpAnswer.parse(received, { methods, ended })
  if (!bytes.includes("HEAD") || parsed.state === "complete" || parsed.state === "upgraded") return parsed
  const others = [[...methods.slice(0, Math.max(0, parsed.answers.length - 1)), "GET"]]
  if (tail._tag === "Broken") others.push([...methods, "HEAD"])
  const readings = others.map((methods) => HttpAnswer.parse(received, { methods, ended }))
  const isRefusal = (answer: HttpAnswer.Answer | undefined) =>
    answer !== undefined && answer.status >= 400 && isLast(answer)
  return readings.find(({ answers, state }) => state === "complete" && isRefusal(answers.at(-1))) ?? parsed
}

const isLast = ({ headers, status }: HttpAnswer.Answer): boolean =>
  status === 101 || (headers["connection"] ?? "").toLowerCase().includes("close")

const judgeStatus = (
  { interim, status }: HttpAnswer.Answer,
  request: StrictRequest | Reading["tail"],
  count: number
): string | undefined => {
  // RFC 9110 section 15.6.2: the one method that is known and that no resource has.
  const isConnect = "method" in request ? request.method === "CONNECT" : isBrokenConnect(request)
  const allowed = (status === 501 && isConnect) || (status === 503 && count > maxPipelined)
  if (status >= 500 && !allowed) return `5xx: ${status}`
  if (interim.some((each) => each.status !== 100)) return "interim: another than 100"
  return undefined
}

const isBrokenConnect = (tail: Reading["tail"]): boolean => tail._tag === "Broken" && tail.beginning === "CONNECT "

const judgeAnswer = (
  answer: HttpAnswer.Answer,
  request: StrictRequest | Reading["tail"],
  hasEnded: boolean
): string | undefined => {
  if (!("_tag" in request)) {
    return judgeForm(answer, request, hasEnded) ?? judgeUpgrade(answer, request) ?? judgeEcho(answer, request)
  }
  // Nothing was asked for: counted elsewhere.
  if (request._tag === "Nothing") return undefined
  const { head } = request
  if (head !== undefined) return judgeForm(answer, head, hasEnded) ?? (isProbe(head) ? undefined : judgeRefusal(answer))
  return answer.interim.length > 0 ? "interim: 100 to what is no valid request" : judgeRefusal(answer)
}

/** RFC 9110 section 7.8: an `Upgrade` in HTTP/1.0 is ignored. */
const judgeUpgrade = ({ status }: HttpAnswer.Answer, { upgrades, version }: StrictRequest): string | undefined =>
  status === 101 && (!upgrades || version === "1.0") ? "upgrade: without a valid request for it" : undefined

const judgeRefusal = ({ status }: HttpAnswer.Answer): string | undefined =>
  status < 400 ? `success: ${status} to what is no valid request` : undefined

const judgeForm = (
  { framing, headers, interim }: HttpAnswer.Answer,
  request: Start,
  hasEnded: boolean
): string | undefined => {
  // Behind the end of the client's side the server may send more of them, to see whether the client is still there.
  const allowed = request.version === "1.0" ? 0 : hasEnded ? Infinity : request.expectsContinue ? 1 : 0
  if (interim.length > allowed) return "interim: 100 without need"
  if (request.version === "1.0" && (framing === "chunked" || "transfer-encoding" in headers)) {
    return "chunked: in an answer to HTTP/1.0"
  }
  return undefined
}

/** The routes that answer without a look at the body. The router takes slashes in a row for one, and knows no trailing slash. */
const isProbe = ({ target }: Start): boolean =>
  /^(?:[a-z]+:\/\/[^/?#]*)?\/+(?:livez|readyz|metrics)\/*(?:[?#;]|$)/i.test(decoded(target))

const decoded = (target: string): string => target.replace(/%[2-7][0-9a-f]/gi, decodeURIComponent)

/** An answer of 200 says what the server took the request for. */
const judgeEcho = (answer: HttpAnswer.Answer, request: StrictRequest): string | undefined => {
  const { body, method, target } = request
  if (answer.status !== 200 || method === "HEAD" || method === "CONNECT" || isProbe(request)) return undefined
  const taken = Buffer.from(answer.body).toString("latin1")
  if (taken === `${method} ${target}\n${body}`) return undefined
  // JSON comes back written anew.
  const json = taken.slice(taken.indexOf("\n") + 1)
  if (taken.startsWith(`${method} ${target}\n`) && isSameJson(json, body)) return undefined
  return `misread: ${JSON.stringify(taken.slice(0, 200))}`
}

const isSameJson = (a: string, b: string): boolean => {
  try {
    const written = (text: string) => JSON.stringify(JSON.parse(Buffer.from(text, "latin1").toString()))
    return written(a) === written(b)
  } catch {
    return false
  }
}
