/** What it costs to read a request, in tokens: one takes up to 20 microseconds of the reader. */
import type { Encoding } from "./body.ts"
import { limits } from "./limits.ts"

/**
 * The bytes of a body once it is decompressed, by what it says itself: gzip ends with that, little-endian (RFC 1952, section 2.3.1), and is
 * not decompressed any further.
 */
export const plainSize = (bytes: Uint8Array, encoding: Encoding): number => {
  if (encoding === "identity") return bytes.length
  if (bytes.length < 4) return 0
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true)
}

/** What a body counts for until it is known what it costs: more than usual ones do, so that large ones are not read side by side. */
export const deposit = (size: number): number => Math.ceil(Math.min(size, limits.bodySize) / 64)

/** What a body may have cost of which nobody knows: the smallest point has two or three bytes. */
export const most = (size: number): number => Math.min(limits.points, Math.max(1, Math.ceil(size / 3)))

/** What a request has cost, read or not: a token for each data point, KiB, or 16 values, whichever are more. */
export const costOf = (size: number, values: number, points: number): number =>
  Math.max(
    1,
    Math.ceil(Math.min(size, limits.bodySize) / 1024),
    Math.ceil(values / 16),
    Math.min(points, limits.points)
  )
