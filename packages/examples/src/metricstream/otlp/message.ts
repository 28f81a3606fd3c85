/**
 * Messages of Protocol Buffers as values: what fields they have, for the readers of their encodings (`json.ts`, `protobuf.ts`).
 *
 * A field that is absent has its default: zero, empty, or `undefined` where presence means something.
 */

/** A 64-bit integer: a number if that holds it exactly, else a `bigint`. The operators of comparison take both. */
export type Integer = number | bigint

/** What a scalar is read as. */
interface Scalars {
  readonly string: string
  readonly bool: boolean
  /** Base64. */
  readonly bytes: string
  readonly double: number
  readonly int64: Integer
  readonly uint64: Integer
  readonly fixed64: Integer
  readonly sfixed64: Integer
  readonly uint32: number
  readonly sint32: number
  readonly enum: number
}

export type ScalarType = keyof Scalars

/** A field: its number on the wire, its type, and how often it occurs. */
export interface Field<A = unknown> {
  readonly number: number
  /** A message is given by a function, for it may contain itself. */
  readonly type: ScalarType | (() => Message<unknown>)
  readonly repeated: boolean
  /** What it is when it is absent. */
  readonly absent: A
}

/** A message. */
export interface Message<A> {
  /** Name, field; in the order of the names. */
  readonly fields: ReadonlyArray<readonly [name: string, field: Field]>
  /** The same by their numbers. */
  readonly byNumber: ReadonlyMap<number, readonly [name: string, field: Field]>
  /** Makes a value without fields. */
  readonly empty: () => A
}

const zeros: Scalars = {
  string: "",
  bool: false,
  bytes: "",
  double: 0,
  int64: 0,
  uint64: 0,
  fixed64: 0,
  sfixed64: 0,
  uint32: 0,
  sint32: 0,
  enum: 0
}

/** What all absent repeated fields share. */
const none: ReadonlyArray<never> = []

/** A scalar whose absence is its zero. */
export const scalar = <T extends ScalarType>(number: number, type: T): Field<Scalars[T]> => ({
  number,
  type,
  repeated: false,
  absent: zeros[type]
})

/** A scalar whose absence can be told from its zero: an optional one, or a member of a oneof. */
export const optional = <T extends ScalarType>(number: number, type: T): Field<Scalars[T] | undefined> => ({
  number,
  type,
  repeated: false,
  absent: undefined
})

/** A message, or none. */
export const nested = <A>(number: number, type: () => Message<A>): Field<A | undefined> => ({
  number,
  type,
  repeated: false,
  absent: undefined
})

export const scalars = <T extends ScalarType>(number: number, type: T): Field<ReadonlyArray<Scalars[T]>> => ({
  number,
  type,
  repeated: true,
  absent: none
})

export const many = <A>(number: number, type: () => Message<A>): Field<ReadonlyArray<A>> => ({
  number,
  type,
  repeated: true,
  absent: none
})

/** Defines a message by its fields. */
export const message = <A extends object>(fields: { readonly [K in keyof A]: Field<A[K]> }): Message<A> => {
  const entries = Object.entries<Field>(fields)
  const absent = Object.fromEntries(entries.map(([name, field]) => [name, field.absent])) as A
  const byNumber = new Map(entries.map((entry) => [entry[1].number, entry]))
  return { fields: entries, byNumber, empty: () => ({ ...absent }) }
}

/** What a message is read as. */
export type Type<M> = M extends Message<infer A> ? A : never

/** An encoded message that cannot be read: where, as `resourceMetrics[0].scopeMetrics[1]`, and why. */
export class Undecodable extends Error {
  readonly field: string
  constructor(field: string, description: string) {
    super(description)
    this.field = field
  }
}

/** A body, or what it becomes when it is decompressed, that has more than is read. */
export class TooLarge extends Error {}
