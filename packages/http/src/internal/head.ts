import type { Resolved } from "../ServerConfig.ts"
import * as answers from "./answers.ts"
import type { Incoming } from "./exchange.ts"

/** What `readHead` says beside the length of a body: this is not a head that may be answered, or it asks for an upgrade that it does not get. */
export const malformedHead = -1
export const ignoredUpgrade = -2

/** RFC 3986 section 3.2.2 and 3.2.3, as RFC 9110 section 7.2 uses them. */
const hostPattern = /^(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*(?::\d*)?$|^\[[\da-f:.]+\](?::\d*)?$/i

/** The last Host that was found valid: nearly always the next one too. */
let validHost: string | undefined

/**
 * Reads what node does not look at, in one pass. Returns the length of the body, 0 if there is none or it is not known, or one of the above.
 *
 * Node keeps the first of two Host fields and drops the other, which a proxy in front may have used (RFC 9112 section 3.2). It hands on
 * transfer codings that it does not decode, and those of HTTP/1.0, whose end a proxy may see elsewhere (section 6.1).
 */
export const readHead = ({ httpVersionMajor, httpVersionMinor, rawHeaders }: Incoming): number => {
  let host: string | undefined
  let result = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== "host") break
        if (host !== undefined) return malformedHead
        host = rawHeaders[i + 1]!
        break
      case 7:
        if (name.toLowerCase() === "upgrade") result = ignoredUpgrade
        break
      case 14:
        if (result === 0 && name.toLowerCase() === "content-length") result = Number(rawHeaders[i + 1])
        break
      case 17:
        if (name.toLowerCase() !== "transfer-encoding") break
        if (httpVersionMinor === 0 || rawHeaders[i + 1]!.toLowerCase() !== "chunked") return malformedHead
    }
  }
  // Only HTTP/1.0 does without Host.
  if (host === undefined) return httpVersionMajor === 1 && httpVersionMinor === 0 ? result : malformedHead
  return isValidHost(host) ? result : malformedHead
}

/** Whether a Host field, or an `:authority`, is as RFC 3986 has it. */
export const isValidHost = (host: string): boolean => {
  if (host === validHost) return true
  if (!hostPattern.test(host)) return false
  validHost = host
  return true
}

/**
 * Whether bytes came behind a head whose upgrade is ignored: node drops those of the same packet, and would read on in the middle of a
 * request. `received` are the bytes since the request before. Clients that offer an upgrade with their first request, as Java's does, wait
 * for the answer, so that their connections live on.
 */
export const mayHaveLostBytes = ({ method, rawHeaders, url }: Incoming, received: number): boolean => {
  let length = `${method} ${url} HTTP/1.1\r\n\r\n`.length
  for (const text of rawHeaders) length += text.length + 2
  return received !== length
}

/** Why a request is turned away for its head alone, if it is. */
export const refusalOf = (request: Incoming, head: number, options: Resolved): answers.HeadRefusal | undefined => {
  if (request.httpVersionMajor !== 1 || head === malformedHead) return answers.badRequest
  if (request.url!.length > options.maxTargetSize) return answers.longTarget
  return request.rawHeaders.length > 2 * options.maxHeaders ? answers.manyHeaders : undefined
}
