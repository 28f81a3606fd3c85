/**
 * Requests as bytes, for the clients of this kit.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { resolve } from "./Target.ts"
import type { Input } from "./Target.ts"

/**
 * A request, written as it is given: nothing is checked or escaped, so that it may be wrong on purpose.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpRequest {
  /**
   * The method.
   *
   * @default "GET"
   */
  readonly method?: string | undefined
  /**
   * The request target. By default the path and query of the URL that the target was given as, else `/`.
   */
  readonly path?: string | undefined
  /**
   * The fields. `Host`, and `Content-Length` if there is a body, are added unless they are here; `Content-Length` is not added beside a
   * `Transfer-Encoding`.
   *
   * @default {}
   */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The body; a text is sent as UTF-8. By default there is none. */
  readonly body?: string | Uint8Array | undefined
}

/**
 * The head of a request up to and including its last field: the empty line that ends it is missing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const encodeFields = (target: Input, request: HttpRequest = {}, bodyBytes?: number): string => {
  const { authority, path } = resolve(target)
  const { headers = {}, method = "GET" } = request
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const lines = [`${method} ${request.path ?? path} HTTP/1.1`]
  if (!given.has("host")) lines.push(`Host: ${authority}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  const hasFraming = given.has("content-length") || given.has("transfer-encoding")
  if (bodyBytes !== undefined && !hasFraming) lines.push(`Content-Length: ${bodyBytes}`)
  return `${lines.join("\r\n")}\r\n`
}

/**
 * The bytes of a request. Its head is written as Latin-1.
 *
 * @category combinators
 * @since 0.1.0
 */
export const encode = (target: Input, request: HttpRequest = {}): Uint8Array => {
  const body = request.body === undefined ? undefined : Buffer.from(request.body)
  const head = Buffer.from(`${encodeFields(target, request, body?.length)}\r\n`, "latin1")
  return body === undefined ? head : Buffer.concat([head, body])
}
