// Apart from the public module, so that the door can read the fields without loading a client.

export const name = "x-request-timeout-ms"

export type Fields = { readonly [name: string]: string | ReadonlyArray<string> | undefined }

/** A whole number of 1 to `digits` digits. */
const wholeNumber = (value: string, end: number, digits: number): number | undefined => {
  if (end === 0 || end > digits) return undefined
  let number = 0
  for (let i = 0; i < end; i++) {
    const digit = value.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return undefined
    number = number * 10 + digit
  }
  return number
}

const grpcUnits: { readonly [unit: string]: number } = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** For the fields of others 0 is not a time: Envoy calls no timeout at all so. */
const positive = (millis: number | undefined): number => millis || Infinity

/** The value of a field in milliseconds. */
export const millisOf = (value: Fields[string]): number | undefined =>
  typeof value === "string" ? wholeNumber(value, value.length, 10) : undefined

const grpcMillis = (value: Fields[string]): number | undefined => {
  if (typeof value !== "string") return undefined
  const amount = wholeNumber(value, value.length - 1, 8)
  const unit = grpcUnits[value.slice(-1)]
  return amount === undefined || unit === undefined ? undefined : amount * unit
}

/** See `DeadlineHeader.remainingOf`. */
export const remainingOf = (headers: Fields): number | undefined => {
  const own = millisOf(headers[name]) ?? Infinity
  const envoy = positive(millisOf(headers["x-envoy-expected-rq-timeout-ms"]))
  const connect = positive(millisOf(headers["connect-timeout-ms"]))
  const grpc = positive(grpcMillis(headers["grpc-timeout"]))
  const least = Math.min(own, envoy, connect, grpc)
  return least === Infinity ? undefined : least
}
