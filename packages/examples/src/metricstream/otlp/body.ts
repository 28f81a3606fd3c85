/** From the bytes of a body to its message. */
import { gunzipSync } from "node:zlib"
import { Budget, tooMany } from "./budget.ts"
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
export const readRequest = (bytes: Uint8Array, encoding: Encoding, format: Format): ExportMetricsServiceRequest => {
  const plain = encoding === "gzip" ? decompress(bytes) : bytes
  const budget = new Budget(limits.depth, limits.messages)
  return format === "json"
    ? fromJson(ExportMetricsServiceRequest, parse(plain), budget)
    : fromProtobuf(ExportMetricsServiceRequest, plain, budget)
}

const decompress = (bytes: Uint8Array): Uint8Array => {
  try {
    return gunzipSync(bytes, { maxOutputLength: limits.bodySize })
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error
    if (error.code === "ERR_BUFFER_TOO_LARGE") throw new TooLarge(`send at most ${limits.bodySize} bytes, decompressed`)
    throw new Undecodable("", `the body is not gzip: ${error.message}`)
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The longest message of V8's parser that is shown: it may quote the input. */
const maxDetail = 200

const parse = (bytes: Uint8Array): unknown => {
  if (countNested(bytes) > limits.messages) throw tooMany(limits.messages)
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    if (error instanceof SyntaxError) throw new Undecodable("", error.message.slice(0, maxDetail).toWellFormed())
    // A `RangeError` comes from nesting too deep for the stack.
    if (error instanceof RangeError) throw new Undecodable("", "the JSON is nested too deeply")
    throw new Undecodable("", "the body is not UTF-8")
  }
}

const brace = 0x7b
const bracket = 0x5b

/**
 * How many objects and arrays a JSON text begins; those in strings count too. They are counted before they are parsed: three bytes of text may
 * become sixty of memory, and twenty thousand of gzip a gigabyte.
 */
const countNested = (bytes: Uint8Array): number => {
  let count = 0
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]!
    if (byte === brace || byte === bracket) count++
  }
  return count
}
