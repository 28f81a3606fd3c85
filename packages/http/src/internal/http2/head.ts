import type { Resolved } from "../../ServerConfig.ts"
import * as answers from "../answers.ts"
import { isValidHost } from "../head.ts"
import type { Http2Incoming } from "./messages.ts"

/** What each field adds to the size of a header list (RFC 9113 section 6.5.2). */
const fieldOverhead = 32

/**
 * Why a request is turned away for its head alone, if it is. That its fields are well formed, its pseudo-header fields complete and its body as
 * long as Content-Length says was checked by nghttp2 (RFC 9113 section 8.1.1).
 */
export const refusalOf = (request: Http2Incoming, options: Resolved): answers.HeadRefusal | undefined => {
  const { headers, rawHeaders } = request
  if (headers[":method"] === "CONNECT") return answers.tunnelRefused
  const path = headers[":path"]!
  if (path.length > options.maxTargetSize) return answers.longTarget
  let fields = 0
  let size = 0
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    size += name.length + rawHeaders[i + 1]!.length + fieldOverhead
    if (name.charCodeAt(0) !== colon) fields++
    if (name === "host") hosts++
  }
  if (size > options.maxHeaderSize || fields > options.maxHeaders) return answers.manyHeaders
  if (hosts > 1 || !hasValidAuthority(headers) || !hasKnownScheme(headers)) return answers.badStream
  const { expect } = headers
  return expect === undefined || isContinue(expect) ? undefined : answers.expectationFailed
}

const colon = 58

type Fields = Http2Incoming["headers"]

/** RFC 9113 section 8.3.1: Host may stand in for `:authority`, and must not say something else. */
const hasValidAuthority = ({ ":authority": authority, host }: Fields): boolean => {
  const named = authority ?? host
  return named !== undefined && isValidHost(named) && (host === undefined || host === named)
}

/** A gateway may ask for what its own client asked for without TLS. */
const hasKnownScheme = ({ ":scheme": scheme }: Fields): boolean => scheme === "https" || scheme === "http"

/** Whether a client waits for `100 Continue` before it sends the body. */
export const isContinue = (expect: string | undefined): boolean => expect?.trim().toLowerCase() === "100-continue"
