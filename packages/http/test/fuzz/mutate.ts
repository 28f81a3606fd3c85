import { corpus, dictionary, numbers } from "./corpus.ts"

/** How the client ends its connection: at once with a FIN, with a FIN once all is answered, or with a reset. */
export type Ending = "end" | "endAnswered" | "reset"

/** What one connection sends: the bytes, where they are cut into separate writes, and how it ends. */
export interface Input {
  readonly bytes: Buffer
  readonly cuts: ReadonlyArray<number>
  readonly ending: Ending
}

type Random = () => number

/** Mulberry32: small, and good enough to choose mutations. Gives numbers from 0 to under 1. */
const makeRandom = (seed: number): Random => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const upTo = (random: Random, limit: number): number => Math.floor(random() * limit)
const pick = <A>(random: Random, items: ReadonlyArray<A>): A => items[upTo(random, items.length)]!

const splice = (bytes: Buffer, from: number, removed: number, added: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, from), added, bytes.subarray(from + removed)])

/** Half of the places are where lines begin or end: most of what matters to a parser happens there. */
const place = (random: Random, bytes: Buffer): number => {
  const anywhere = upTo(random, bytes.length + 1)
  if (random() < 0.5) return anywhere
  const lineFeed = bytes.indexOf(0x0a, anywhere)
  return lineFeed === -1 ? anywhere : lineFeed + pick(random, [-1, 0, 1, 1])
}

const lengthOfPiece = (random: Random): number => pick(random, [1, 1, 1, 2, 4, 16, 64])
const noBytes = Buffer.alloc(0)

type Mutation = (bytes: Buffer, random: Random) => Buffer

const flipBit: Mutation = (bytes, random) => {
  if (bytes.length === 0) return bytes
  const at = upTo(random, bytes.length)
  return splice(bytes, at, 1, Buffer.of(bytes[at]! ^ (1 << upTo(random, 8))))
}

const setByte: Mutation = (bytes, random) => splice(bytes, place(random, bytes), 1, Buffer.of(upTo(random, 256)))

const setSpecial: Mutation = (bytes, random) =>
  splice(bytes, place(random, bytes), 1, pick(random, dictionary).subarray(0, 1))

const insert: Mutation = (bytes, random) => {
  const random256 = () => upTo(random, 256)
  return splice(bytes, place(random, bytes), 0, Buffer.from(Array.from({ length: lengthOfPiece(random) }, random256)))
}

const insertPiece: Mutation = (bytes, random) => splice(bytes, place(random, bytes), 0, pick(random, dictionary))

const remove: Mutation = (bytes, random) => splice(bytes, place(random, bytes), lengthOfPiece(random), noBytes)

const duplicate: Mutation = (bytes, random) => {
  const from = place(random, bytes)
  const to = random() < 0.5 ? bytes.indexOf(0x0a, from) + 1 : from + lengthOfPiece(random)
  return splice(bytes, place(random, bytes), 0, bytes.subarray(from, to))
}

const truncate: Mutation = (bytes, random) => bytes.subarray(0, place(random, bytes))

/** The beginning of one and the end of another, or one in the middle of the other. */
const cross: Mutation = (bytes, random) => {
  const other = pick(random, corpus)
  const at = place(random, bytes)
  return splice(bytes, at, random() < 0.5 ? bytes.length : 0, other.subarray(place(random, other)))
}

const changeNumber: Mutation = (bytes, random) => {
  const runs = [...bytes.toString("latin1").matchAll(/(?<=[ \n])[0-9A-Fa-f]+(?=[;\r\n])/g)]
  if (runs.length === 0) return insertPiece(bytes, random)
  const { 0: run, index } = pick(random, runs)
  const near = () => Buffer.from(String(Number(run) + pick(random, [-1, 1])))
  return splice(bytes, index, run.length, random() < 0.3 ? near() : pick(random, numbers))
}

const changeCase: Mutation = (bytes, random) => {
  const from = place(random, bytes)
  const piece = bytes.subarray(from, from + 16).toString("latin1")
  return splice(bytes, from, 16, Buffer.from(random() < 0.5 ? piece.toUpperCase() : piece.toLowerCase(), "latin1"))
}

const swapLines: Mutation = (bytes, random) => {
  const lines = bytes.toString("latin1").split("\r\n")
  const [i, j] = [upTo(random, lines.length), upTo(random, lines.length)] as const
  ;[lines[i], lines[j]] = [lines[j]!, lines[i]!]
  return Buffer.from(lines.join("\r\n"), "latin1")
}

const mutations: ReadonlyArray<Mutation> = [
  flipBit,
  setByte,
  setSpecial,
  setSpecial,
  insert,
  insertPiece,
  insertPiece,
  insertPiece,
  remove,
  remove,
  duplicate,
  truncate,
  cross,
  changeNumber,
  changeNumber,
  changeCase,
  swapLines
]

/** An input is not larger than this: large bodies are for other tests. */
const maxBytes = 32 * 1024

/** The input with this number: always the same for the same seed. */
export const makeInput = (seed: number, index: number): Input => {
  const random = makeRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  random()
  let bytes = pick(random, corpus)
  // One in fifty stays as it is: that valid requests are answered in any number of pieces is tested too.
  let rounds = random() < 0.02 ? 0 : 1
  while (rounds > 0 && rounds < 8 && random() < 0.4) rounds++
  for (let i = 0; i < rounds; i++) bytes = pick(random, mutations)(bytes, random)
  bytes = bytes.subarray(0, maxBytes)
  const count = random() < 0.6 ? 0 : 1 + upTo(random, 4)
  const cuts = Array.from({ length: count }, () => place(random, bytes)).toSorted((a, b) => a - b)
  const dice = random()
  return { bytes, cuts, ending: dice < 0.03 ? "reset" : dice < 0.3 ? "endAnswered" : "end" }
}
