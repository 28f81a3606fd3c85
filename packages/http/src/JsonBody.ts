/**
 * Typed intake of JSON: media type, size, time, encoding, syntax and shape, each with a refusal of its own.
 *
 * | the body | status |
 * |---|---|
 * | is not declared as JSON, or in another charset than UTF-8 | 415 |
 * | is compressed, or has any other Content-Encoding than identity (but see `bytes`) | 415 |
 * | is larger than the limit: known from Content-Length before it is read | 413 |
 * | does not arrive in time | 408 |
 * | does not fit beside the bodies that are arriving already (`maxBufferedBodies`) | 503 |
 * | is empty, not UTF-8, or not JSON | 400 |
 * | has another shape than the schema | 422, with a JSON Pointer to the place |
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import { readBody } from "./internal/readBody.ts"
import { withoutStack } from "./internal/withoutStack.ts"
import { places } from "./Problem.ts"

/**
 * Why a body was refused.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

const Place = Schema.Struct({ path: Schema.String, message: Schema.String })

/**
 * The schema of `Reason`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  Schema.TaggedStruct("UnsupportedMediaType", { expected: Schema.String }),
  Schema.TaggedStruct("UnsupportedEncoding", { expected: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("Empty", {}),
  Schema.TaggedStruct("TooLarge", { limit: Schema.Number }),
  Schema.TaggedStruct("TooManyLines", { limit: Schema.Number }),
  Schema.TaggedStruct("TimedOut", { timeout: Schema.Duration }),
  Schema.TaggedStruct("Incomplete", {}),
  Schema.TaggedStruct("Overloaded", {}),
  Schema.TaggedStruct("NotUtf8", {}),
  Schema.TaggedStruct("Malformed", { detail: Schema.String, line: Schema.optionalKey(Schema.Number) }),
  Schema.TaggedStruct("Mismatch", { errors: Schema.Array(Place) })
])

/**
 * Error of a request whose body was refused; `reason` says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class JsonBodyError extends Schema.TaggedError<JsonBodyError>("@spillway/http/JsonBody/JsonBodyError")(
  "JsonBodyError",
  { reason: Reason }
) {
  override get message() {
    return `the body was refused: ${this.reason._tag}`
  }
}

/**
 * Options of `decode`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Bytes of the body; more fails with `TooLarge`. From 0.
   *
   * @default `HttpIncomingMessage.MaxBodySize`, which the server sets to its `maxBodySize`
   */
  readonly maxSize?: ByteSize.Input | undefined
  /**
   * For the whole body to arrive, from when it is asked for; longer fails with `TimedOut`. `Infinity` waits without limit.
   *
   * @default the `bodyTimeout` of the server
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Options of `lines`.
 *
 * @category options
 * @since 0.1.0
 */
export interface LinesOptions extends Options {
  /**
   * Lines that are not empty; more fails with `TooManyLines`. An integer from 1, or `Infinity`.
   *
   * @default 10000
   */
  readonly maxLines?: number | undefined
}

/**
 * Options of `bytes`.
 *
 * @category options
 * @since 0.1.0
 */
export interface BytesOptions extends Options {
  /** The media types that are taken, in lower case and without parameters. Any other fails with `UnsupportedMediaType`. */
  readonly mediaTypes: ReadonlyArray<string>
  /**
   * The content encodings that are taken beside `identity`, in lower case. Any other, and several one over the other, fail with
   * `UnsupportedEncoding`.
   *
   * @default none
   */
  readonly encodings?: ReadonlyArray<string> | undefined
}

/**
 * The body of a request as it was sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bytes {
  /** The bytes. They may lie in a buffer with others. */
  readonly bytes: Uint8Array
  /** The media type, one of those that are taken. */
  readonly mediaType: string
  /** How the bytes are encoded: `identity`, or one of the encodings that are taken. */
  readonly encoding: string
}

/** The default of `LinesOptions.maxLines`. */
const defaultMaxLines = 10_000

const fail = (reason: Reason) => Effect.fail(withoutStack(() => new JsonBodyError({ reason }, { disableChecks: true })))

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The media type that a Content-Type names, in lower case; `undefined` without one, and with another charset than UTF-8. */
const mediaTypeOf = (contentType: string | undefined): string | undefined => {
  if (contentType === undefined) return undefined
  const [type, ...parameters] = contentType.split(";")
  const isUtf8 = parameters.every((parameter) => {
    const [name, value] = parameter.split("=")
    if (name!.trim().toLowerCase() !== "charset") return true
    return /^"?utf-?8"?$/i.test(value?.trim() ?? "")
  })
  return isUtf8 ? type!.trim().toLowerCase() : undefined
}

/** Nothing is decompressed: a small body could become a very large one. */
const isIdentity = (contentEncoding: string | undefined): boolean =>
  contentEncoding === undefined || /^(?:[\s,]|identity(?=[\s,]|$))*$/i.test(contentEncoding)

const isJson = (type: string): boolean => type === "application/json" || type.endsWith("+json")
const isNdjson = (type: string): boolean =>
  type === "application/x-ndjson" || type === "application/ndjson" || type === "application/jsonl"

/** Reads the whole body as text, once its media type was found right. */
const readText = Effect.fnUntraced(function* (
  accepted: (type: string) => boolean,
  expected: string,
  options: Options | undefined
) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { headers } = request
  const isEmpty = headers["content-length"] === "0" || !("content-length" in headers || "transfer-encoding" in headers)
  const mediaType = mediaTypeOf(headers["content-type"])
  if (mediaType === undefined || !accepted(mediaType)) {
    if (isEmpty && headers["content-type"] === undefined) return yield* fail({ _tag: "Empty" })
    return yield* fail({ _tag: "UnsupportedMediaType", expected })
  }
  if (!isIdentity(headers["content-encoding"])) return yield* fail({ _tag: "UnsupportedEncoding" })
  const bytes = yield* readBytes(request, options)
  if (bytes.length === 0) return yield* fail({ _tag: "Empty" })
  const text = decodeUtf8(bytes)
  return text === undefined ? yield* fail({ _tag: "NotUtf8" }) : text
})

/** Reads the whole body within its limits. */
const readBytes = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  options: Options | undefined
) {
  const { headers } = request
  const limit =
    options?.maxSize === undefined ? yield* HttpIncomingMessage.MaxBodySize : ByteSize.fromInputUnsafe(options.maxSize)
  const maxBytes = limit === undefined ? Infinity : Number(limit)
  if (Number(headers["content-length"] ?? 0) > maxBytes) return yield* fail({ _tag: "TooLarge", limit: maxBytes })
  const timeout = options?.timeout === undefined ? undefined : Duration.fromInputUnsafe(options.timeout)
  return yield* Effect.catch(readBody(request, maxBytes, timeout), fail)
})

const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    const text = utf8.decode(bytes)
    // RFC 8259 section 8.1 forbids a byte order mark.
    return text.charCodeAt(0) === 0xfeff ? undefined : text
  } catch {
    return undefined
  }
}

/** The longest message of V8's parser that is shown: it may quote the input. */
const maxDetail = 200

const parse = (text: string, line?: number): Effect.Effect<unknown, JsonBodyError> => {
  try {
    return Effect.succeed(JSON.parse(text))
  } catch (error) {
    // A `RangeError` comes from nesting too deep for the stack.
    const detail = error instanceof SyntaxError ? error.message.slice(0, maxDetail) : "the JSON is nested too deeply"
    return fail({ _tag: "Malformed", detail, ...(line === undefined ? {} : { line }) })
  }
}

/**
 * Decodes the JSON body of the current request with a schema.
 *
 * **Details**
 *
 * Fails with `JsonBodyError`, which the server answers by the table of this module. The body must be declared as `application/json`
 * or `…+json`. While it waits for a slow sender the request holds no permit of the door; it gets one again, ahead of new requests,
 * before the effect goes on.
 *
 * **Gotchas**
 *
 * Interruption while reading leaves the body unread, and the connection closes after the response. A body can be read once.
 *
 * **Example** (A typed handler)
 *
 * ```ts
 * const Event = Schema.Struct({ name: Schema.String, value: Schema.Number })
 * const add = HttpRouter.add("POST", "/events", Effect.flatMap(JsonBody.decode(Event), store))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const decode = <S extends Schema.Constraint>(
  schema: S,
  options?: Options
): Effect.Effect<S["Type"], JsonBodyError, HttpServerRequest.HttpServerRequest | S["DecodingServices"]> => {
  const decodeValue = makeDecoder(schema)
  return Effect.flatMap(readText(isJson, "application/json", options), (text) =>
    Effect.flatMap(parse(text), (value) => decodeValue(value, ""))
  )
}

/**
 * Decodes the newline-delimited JSON body (`application/x-ndjson`) of the current request, each line with a schema.
 *
 * **Details**
 *
 * Empty lines are ignored. All lines are decoded or none: the error names the first that is wrong. In a 422 the pointer begins with
 * the index of the value, as in an array; in a 400 `line` is the number of the line, from 1. Otherwise it behaves like `decode`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const lines = <S extends Schema.Constraint>(
  schema: S,
  options?: LinesOptions
): Effect.Effect<
  ReadonlyArray<S["Type"]>,
  JsonBodyError,
  HttpServerRequest.HttpServerRequest | S["DecodingServices"]
> => {
  const decodeValue = makeDecoder(schema)
  const maxLines = options?.maxLines ?? defaultMaxLines
  return Effect.gen(function* () {
    const text = yield* readText(isNdjson, "application/x-ndjson", options)
    const values: Array<S["Type"]> = []
    let lineNumber = 0
    // Walked, not split: a million line feeds must not become a million strings.
    for (let from = 0; from < text.length;) {
      let to = text.indexOf("\n", from)
      if (to === -1) to = text.length
      const line = text.slice(from, to).trim()
      from = to + 1
      lineNumber++
      if (line === "") continue
      if (values.length >= maxLines) return yield* fail({ _tag: "TooManyLines", limit: maxLines })
      values.push(yield* decodeValue(yield* parse(line, lineNumber), `/${values.length}`))
    }
    return values.length === 0 ? yield* fail({ _tag: "Empty" }) : values
  })
}

/**
 * Reads the body of the current request as bytes, within the limits of `decode`: for encodings of JSON that this module does not decode,
 * such as a compressed one.
 *
 * **Details**
 *
 * Fails with `JsonBodyError` as `decode` does, but neither with `Empty` nor with what only the content can show. `maxSize` bounds the bytes
 * as they were sent.
 *
 * **Gotchas**
 *
 * Whoever decompresses must bound what comes out: a thousandth may have been sent. It takes time, too: a thread is the place for it.
 *
 * **Example** (A body that may be compressed)
 *
 * ```ts
 * const body = JsonBody.bytes({ mediaTypes: ["application/json"], encodings: ["gzip"], maxSize: "4 MiB" })
 * const add = HttpRouter.add("POST", "/events", Effect.flatMap(body, ({ bytes, encoding }) => store(bytes, encoding)))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const bytes = (
  options: BytesOptions
): Effect.Effect<Bytes, JsonBodyError, HttpServerRequest.HttpServerRequest> => {
  const { encodings = [], mediaTypes } = options
  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { "content-encoding": contentEncoding = "", "content-type": contentType } = request.headers
    const mediaType = mediaTypeOf(contentType)
    if (mediaType === undefined || !mediaTypes.includes(mediaType)) {
      return yield* fail({ _tag: "UnsupportedMediaType", expected: mediaTypes.join(", ") })
    }
    const codings = contentEncoding
      .toLowerCase()
      .split(",")
      .map((coding) => coding.trim())
    const [encoding = "identity", ...others] = codings.filter((coding) => coding !== "" && coding !== "identity")
    if (others.length > 0 || !(encoding === "identity" || encodings.includes(encoding))) {
      return yield* fail({ _tag: "UnsupportedEncoding", expected: ["identity", ...encodings].join(", ") })
    }
    return { bytes: yield* readBytes(request, options), mediaType, encoding }
  })
}

const makeDecoder = <S extends Schema.Constraint>(schema: S) => {
  const decodeUnknown = Schema.decodeUnknownEffect(Schema.toCodecJson(schema))
  return (value: unknown, prefix: string): Effect.Effect<S["Type"], JsonBodyError, S["DecodingServices"]> =>
    Effect.catch(decodeUnknown(value), (error) => fail({ _tag: "Mismatch", errors: places(error, prefix) }))
}
