/** Bytes that another seed would not give, so that an answer can be told from every other. */
export const pattern = (seed: number): Uint8Array => new Uint8Array(8192).map((_, i) => (i * 31 + seed * 7) ^ (i >> 8))
