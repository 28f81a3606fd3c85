/** What all servers of this bench are asked for, and how much of it there is. */

/** `CONNECTIONS_TRIAL=1`: one short round, to see whether everything runs. Writes no results. */
export const trial = process.env.CONNECTIONS_TRIAL === "1"

export const rounds = trial ? 1 : 3
export const connections = trial ? 1000 : 10_000
export const slowReaders = trial ? 50 : 300

/** The response that slow readers do not read. */
export const responseBytes = 8 * 2 ** 20
export const chunkBytes = 64 * 2 ** 10

export const chunks = responseBytes / chunkBytes

/** Each chunk has its own byte: one that is missing or out of place shows. */
export const chunk = (index: number): Uint8Array<ArrayBuffer> => new Uint8Array(chunkBytes).fill(index)

export const wholeResponse = (): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(responseBytes)
  for (let index = 0; index < chunks; index++) bytes.set(chunk(index), index * chunkBytes)
  return bytes
}
