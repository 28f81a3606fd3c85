/**
 * Reads messages from JSON, by the JSON mapping of Protocol Buffers with the deviations of the OTLP specification ("JSON Protobuf
 * Encoding"): 64-bit integers may be numbers or strings, doubles may be `"NaN"` or `"Infinity"`, `null` is an absent field, names are in
 * lowerCamelCase only, enums are integers only, and unknown fields are ignored.
 */
import type { Budget } from "./budget.ts"
import { Undecodable } from "./message.ts"
import type { Field, Integer, Message, ScalarType } from "./message.ts"

/** Reads a message from a value of `JSON.parse`. Throws `Undecodable`. */
export const fromJson = <A>(message: Message<A>, value: unknown, budget: Budget): A =>
  new Reader(budget).message(message, value)

/** A string that is a JSON number, or what stands for what JSON does not have. */
const doublePattern = /^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity)$/

class Reader {
  readonly #budget: Budget
  /** Where it is. An error leaves it where it happened. */
  readonly #path: Array<string | number> = []

  constructor(budget: Budget) {
    this.#budget = budget
  }

  message<A>(message: Message<A>, value: unknown): A {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.#expected("an object")
    this.#budget.enter()
    const result = message.empty() as Record<string, unknown>
    for (const [name, field] of message.fields) {
      const member = (value as Record<string, unknown>)[name]
      if (member === undefined || member === null) continue
      this.#path.push(name)
      result[name] = field.repeated ? this.#list(field, member) : this.#single(field, member)
      this.#path.pop()
    }
    this.#budget.leave()
    return result as A
  }

  #list(field: Field, value: unknown): ReadonlyArray<unknown> {
    if (!Array.isArray(value)) throw this.#expected("an array")
    return value.map((item, index) => {
      this.#path.push(index)
      const result = this.#single(field, item)
      this.#path.pop()
      return result
    })
  }

  #single({ type }: Field, value: unknown): unknown {
    return typeof type === "function" ? this.message(type(), value) : this.#scalar(type, value)
  }

  #scalar(type: ScalarType, value: unknown): unknown {
    switch (type) {
      case "string":
      case "bytes":
        if (typeof value === "string") return value
        throw this.#expected("a string")
      case "bool":
        if (typeof value === "boolean") return value
        throw this.#expected("true or false")
      case "double":
        if (typeof value === "number") return value
        if (typeof value === "string" && doublePattern.test(value)) return Number(value)
        throw this.#expected("a number")
      case "enum":
        if (Number.isInteger(value)) return value
        throw this.#expected("an integer")
      case "uint32":
        return Number(this.#integer(value, 0, 2 ** 32 - 1))
      case "sint32":
        return Number(this.#integer(value, -(2 ** 31), 2 ** 31 - 1))
      case "int64":
      case "sfixed64":
        return this.#integer(value, -(2n ** 63n), 2n ** 63n - 1n)
      case "uint64":
      case "fixed64":
        return this.#integer(value, 0, 2n ** 64n - 1n)
    }
  }

  #integer(value: unknown, minimum: Integer, maximum: Integer): Integer {
    const integer = toInteger(value)
    if (integer === undefined || integer < minimum || integer > maximum) {
      // `JSON.parse` rounds the greatest 64-bit integers up, to what is no 64-bit integer any more.
      if (value === Number(maximum)) return maximum
      throw this.#expected(`an integer from ${minimum} to ${maximum}, as a number or a string`)
    }
    return integer
  }

  #expected(what: string): Undecodable {
    const field = this.#path.reduce<string>(
      (path, part) => (typeof part === "number" ? `${path}[${part}]` : path === "" ? part : `${path}.${part}`),
      ""
    )
    return new Undecodable(field, `expected ${what}`)
  }
}

const toInteger = (value: unknown): Integer | undefined => {
  if (typeof value === "number") return Number.isInteger(value) ? value : undefined
  if (typeof value !== "string" || !/^-?\d{1,20}$/.test(value)) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(value)
}
