/** Writes the two messages that an OTLP server answers with, in the binary encoding of Protocol Buffers. */

const encoder = new TextEncoder()

const varint = (value: number): ReadonlyArray<number> =>
  value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))]

/** A field with an integer from 0; none if it is 0. */
const integer = (number: number, value: number): ReadonlyArray<number> =>
  value === 0 ? [] : [...varint(number * 8), ...varint(value)]

/** A field with bytes: a text or a message. */
const delimited = (number: number, bytes: Iterable<number>): ReadonlyArray<number> => {
  const all = [...bytes]
  return [...varint(number * 8 + 2), ...varint(all.length), ...all]
}

const text = (number: number, value: string): ReadonlyArray<number> =>
  value === "" ? [] : delimited(number, encoder.encode(value))

/** `ExportMetricsServiceResponse`, with `partial_success` if there is something to say. */
export const exportResponse = (rejected: number, message: string): Uint8Array =>
  Uint8Array.from(rejected === 0 ? [] : delimited(1, [...integer(1, rejected), ...text(2, message)]))

/** `google.rpc.Status`, without details. */
export const status = (code: number, message: string): Uint8Array =>
  Uint8Array.from([...integer(1, code), ...text(2, message)])
