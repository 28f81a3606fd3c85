/**
 * Roughly how many bytes a value takes when it is copied to another thread, as far as can be told at a glance: its buffers and strings,
 * those of its members and of the members' members. Of a list the first item stands for all. Shared memory is not copied.
 */
export const weigh = (value: unknown, levels = 2): number => {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value)) return value.buffer instanceof SharedArrayBuffer ? 8 : value.byteLength
  if (value instanceof ArrayBuffer) return value.byteLength
  if (levels === 0) return 8
  if (Array.isArray(value)) return value.length * weigh(value[0], levels - 1)
  let bytes = 0
  for (const key in value) bytes += weigh((value as Record<string, unknown>)[key], levels - 1)
  return bytes
}
