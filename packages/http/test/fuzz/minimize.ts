import type { Input } from "./mutate.ts"

/** How many variants are tried at most. */
const maxTries = 400

/**
 * Makes an input shorter as long as it fails in the same way: whole pieces first, then smaller ones down to single bytes (Zeller's
 * `ddmin`, without the complements). Cuts and the ending go first if they do not matter.
 */
export const minimize = async (input: Input, fails: (input: Input) => Promise<boolean>): Promise<Input> => {
  let best = input
  let tries = 0
  const attempt = async (candidate: Input): Promise<boolean> => {
    if (tries++ >= maxTries || !(await fails(candidate))) return false
    best = candidate
    return true
  }
  await attempt({ ...best, cuts: [] })
  if (best.ending !== "end") await attempt({ ...best, ending: "end" })
  for (let size = Math.ceil(best.bytes.length / 2); size >= 1 && tries < maxTries; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.bytes.length && tries < maxTries;) {
      // What follows moves up to the same place when the piece could go.
      if (!(await attempt(without(best, from, size)))) from += size
    }
  }
  return best
}

const without = ({ bytes, cuts, ending }: Input, from: number, size: number): Input => {
  const move = (cut: number): number => (cut <= from ? cut : Math.max(from, cut - size))
  return {
    bytes: Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + size)]),
    cuts: cuts.map(move),
    ending
  }
}

/** Bytes as a string literal of JavaScript, for a named case. */
export const escape = (bytes: Uint8Array): string =>
  JSON.stringify(Buffer.from(bytes).toString("latin1")).replaceAll(
    /[\x7f-\xff]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16)}`
  )
