import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** `RateLimit` and `RateLimit-Policy`, by their names in lower case. */
export type Fields = Readonly<Record<string, string>>

/** Sets the fields on a response. Those of another limit, which are set already, come first. */
export const withFields = (
  response: HttpServerResponse.HttpServerResponse,
  fields: Fields
): HttpServerResponse.HttpServerResponse => {
  const all: Record<string, string> = {}
  for (const name in fields) {
    const other = response.headers[name]
    all[name] = other === undefined ? fields[name]! : `${other}, ${fields[name]!}`
  }
  return HttpServerResponse.setHeaders(response, all)
}
