/** From the bytes of a body to its message. */
import { gunzipSync } from "node:zlib"
import type { Budget } from "./budget.ts"
import { plainSize } from "./cost.ts"
import { fromJson } from "./json.ts"
import { limits } from "./limits.ts"
import { TooLarge, Undecodable } from "./message.ts"
import { ExportMetricsServiceRequest } from "./messages.ts"
import { fromProtobuf } from "./protobuf.ts"

/** How a body was compressed, by its Content-Encoding. */
export type Encoding = "identity" | "gzip"

/** What a body is written in, by its Content-Type. */
export type Format = "json" | "protobuf"

/** Reads a request. Throws `Undecodable` or `TooLarge`. */
export const readRequest = (
  bytes: Uint8Array,
  encoding: Encoding,
  format: Format,
  budget: Budget
): ExportMetricsServiceRequest => {
  const plain = encoding === "gzip" ? decompress(bytes) : bytes
  return format === "json"
    ? fromJson(ExportMetricsServiceRequest, parse(plain, budget), budget)
    : fromProtobuf(ExportMetricsServiceRequest, plain, budget)
}

/** No further than to the size that the client has paid a deposit for. */
const decompress = (bytes: Uint8Array): Uint8Array => {
  const size = plainSize(bytes, "gzip")
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.min(Math.max(1, size), limits.bodySize) })
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error
    if (error.code === "ERR_BUFFER_TOO_LARGE") {
      if (size > limits.bodySize) throw new TooLarge(`send at most ${limits.bodySize} bytes, decompressed`)
      throw new Undecodable(
        "",
        `the gzip has more than the ${size} bytes that it ends with as its size: send one member`
      )
    }
    throw new Undecodable("", `the body is not gzip: ${error.message}`)
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The longest message of V8's parser that is shown: it may quote the input. */
const maxDetail = 200

const parse = (bytes: Uint8Array, budget: Budget): unknown => {
  countValues(bytes, budget)
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    if (error instanceof SyntaxError) throw new Undecodable("", error.message.slice(0, maxDetail).toWellFormed())
    // A `RangeError` comes from nesting too deep for the stack.
    if (error instanceof RangeError) throw new Undecodable("", "the JSON is nested too deeply")
    throw new Undecodable("", "the body is not UTF-8")
  }
}

const quote = 0x22
const comma = 0x2c
const bracket = 0x5b
const backslash = 0x5c
const brace = 0x7b

/**
 * Refuses a JSON text that would become too much in memory, before it is parsed: two bytes of text may become two hundred, also in fields that nobody
 * reads, and twenty thousand of gzip twenty million of text. A value comes behind a comma, or first in an object or list, so by those outside of
 * strings it is known how many there are at most. Of a text that is no JSON those count where the parser gets to. Throws `TooLarge`.
 */
const countValues = (bytes: Uint8Array, budget: Budget): void => {
  let [nested, commas] = [0, 0]
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (byte === quote) index = endOfString(bytes, index + 1)
    else if (byte === comma) commas++
    else if (byte === brace || byte === bracket) nested++
  }
  budget.text(nested, nested + commas)
}

/** Where the string ends that goes on there: at its quote, or where the text does. */
const endOfString = (bytes: Uint8Array, from: number): number => {
  let index = from
  while (index < bytes.length && bytes[index] !== quote) index += bytes[index] === backslash ? 2 : 1
  return index
}
