/**
 * Reads messages from the binary encoding of Protocol Buffers (protobuf.dev/programming-guides/encoding), by the same definitions as
 * `json.ts`.
 *
 * Unknown fields are skipped, and so are fields whose wire type is not that of their type. Of a single field that occurs several times
 * the last counts. Repeated numbers may be packed or not. Groups, which OTLP does not have, are not read.
 */
import type { Budget } from "./budget.ts"
import { Undecodable } from "./message.ts"
import type { Field, Integer, Message, ScalarType } from "./message.ts"

/** Reads a message. Throws `Undecodable`. */
export const fromProtobuf = <A>(message: Message<A>, bytes: Uint8Array, budget: Budget): A =>
  new Reader(bytes, budget).message(message, bytes.length)

/** How a value is laid out. */
const wire = { varint: 0, fixed64: 1, length: 2, fixed32: 5 } as const

const wireTypes: Readonly<Record<ScalarType, number>> = {
  string: wire.length,
  bytes: wire.length,
  bool: wire.varint,
  double: wire.fixed64,
  int64: wire.varint,
  uint64: wire.varint,
  fixed64: wire.fixed64,
  sfixed64: wire.fixed64,
  uint32: wire.varint,
  sint32: wire.varint,
  enum: wire.varint
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #budget: Budget
  #offset = 0

  constructor(bytes: Uint8Array, budget: Budget) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#budget = budget
  }

  /** Reads a message that ends there. */
  message<A>(message: Message<A>, end: number): A {
    this.#budget.enter()
    const result = message.empty() as Record<string, unknown>
    while (this.#offset < end) {
      const tag = Number(this.#varint(end))
      const number = Math.floor(tag / 8)
      if (number === 0) throw this.#malformed()
      const entry = message.byNumber.get(number)
      if (entry === undefined) this.#skip(tag % 8, end)
      else this.#field(result, entry[0], entry[1], tag % 8, end)
    }
    this.#budget.leave()
    return result as A
  }

  #field(result: Record<string, unknown>, name: string, field: Field, wireType: number, end: number): void {
    const { absent, repeated, type } = field
    const own = typeof type === "function" ? wire.length : wireTypes[type]
    const isPacked = repeated && wireType === wire.length && own !== wire.length
    if (wireType !== own && !isPacked) return this.#skip(wireType, end)
    if (!repeated) {
      result[name] = this.#value(type, end)
      return
    }
    // Those that are absent share one list.
    if (result[name] === absent) result[name] = []
    const list = result[name] as Array<unknown>
    if (!isPacked) {
      list.push(this.#element(type, end))
      return
    }
    const last = this.#length(end)
    while (this.#offset < last) list.push(this.#element(type, last))
  }

  /** A value of many. Messages are counted when they begin. */
  #element(type: Field["type"], end: number): unknown {
    if (typeof type !== "function") this.#budget.element()
    return this.#value(type, end)
  }

  #value(type: Field["type"], end: number): unknown {
    return typeof type === "function" ? this.message(type(), this.#length(end)) : this.#scalar(type, end)
  }

  #scalar(type: ScalarType, end: number): unknown {
    switch (type) {
      case "string":
        return this.#text(end)
      case "bytes":
        return Buffer.from(this.#delimited(end)).toString("base64")
      case "double":
        return this.#view.getFloat64(this.#take(8, end), true)
      case "fixed64":
        return toInteger(this.#view.getBigUint64(this.#take(8, end), true))
      case "sfixed64":
        return toInteger(this.#view.getBigInt64(this.#take(8, end), true))
      case "bool":
        return Number(this.#varint(end)) !== 0
      case "uint64":
        return this.#varint(end)
      case "int64":
        return toInteger(BigInt.asIntN(64, BigInt(this.#varint(end))))
      case "uint32":
        return Number(BigInt.asUintN(32, BigInt(this.#varint(end))))
      case "enum":
        return Number(BigInt.asIntN(32, BigInt(this.#varint(end))))
      case "sint32": {
        const zigzag = Number(BigInt.asUintN(32, BigInt(this.#varint(end))))
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
    }
  }

  /** An unsigned integer of up to 64 bits: seven in each byte, the lowest first, the top bit saying that there are more. */
  #varint(end: number): Integer {
    let value = 0
    // Seven bytes are 49 bits: a number holds them.
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.#bytes[this.#take(1, end)]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    let large = BigInt(value)
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#take(1, end)]!
      large += BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return toInteger(BigInt.asUintN(64, large))
    }
    throw this.#malformed()
  }

  /** Reads a length and returns where what has it ends. */
  #length(end: number): number {
    const length = this.#varint(end)
    if (length > end - this.#offset) throw this.#malformed()
    return this.#offset + Number(length)
  }

  #delimited(end: number): Uint8Array {
    const to = this.#length(end)
    return this.#bytes.subarray(this.#take(to - this.#offset, end), to)
  }

  #text(end: number): string {
    try {
      return utf8.decode(this.#delimited(end))
    } catch (error) {
      throw error instanceof Undecodable
        ? error
        : new Undecodable("", `a text before byte ${this.#offset} is not UTF-8`)
    }
  }

  #skip(wireType: number, end: number): void {
    if (wireType === wire.varint) this.#varint(end)
    else if (wireType === wire.fixed64) this.#take(8, end)
    else if (wireType === wire.fixed32) this.#take(4, end)
    else if (wireType === wire.length) this.#delimited(end)
    else throw this.#malformed()
  }

  /** Goes on by so many bytes and returns where they begin. */
  #take(bytes: number, end: number): number {
    const from = this.#offset
    if (bytes > end - from) throw this.#malformed()
    this.#offset = from + bytes
    return from
  }

  #malformed(): Undecodable {
    return new Undecodable("", `the body is not Protocol Buffers at byte ${this.#offset}`)
  }
}

const toInteger = (value: bigint): Integer => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
