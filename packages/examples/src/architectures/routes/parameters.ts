/** The query parameters of the routes: whole numbers within bounds. */
import * as Problem from "@spillway/http/Problem"
import * as Effect from "effect/Effect"
import { ParsedSearchParams } from "effect/http/HttpServerRequest"

export interface Bounds {
  readonly min: number
  readonly max: number
  /** What it is when it is not given. */
  readonly default: number
}

/** How long `/sleep`, `/cpu` and their like take at most, in milliseconds. */
export const longest = 60_000

const bad = (name: string, message: string) =>
  Problem.make({
    status: 400,
    title: "Bad query parameter",
    detail: `${name}: ${message}`,
    extensions: { errors: [{ parameter: name, message }] }
  })

/** Reads a whole number. One that is out of bounds, not a number, or given twice is a 400. */
export const integer = (name: string, { default: fallback, max, min }: Bounds) =>
  Effect.flatMap(ParsedSearchParams, (parameters) => {
    const text = parameters[name]
    if (text === undefined) return Effect.succeed(fallback)
    const value = typeof text === "string" && /^\d{1,9}$/.test(text) ? Number(text) : NaN
    return value >= min && value <= max
      ? Effect.succeed(value)
      : Effect.fail(bad(name, `expected a whole number from ${min} to ${max}`))
  })

/** Reads `ms`, which is `fallback` when it is not given. */
export const milliseconds = (fallback: number) => integer("ms", { min: 0, max: longest, default: fallback })

/** Reads one of a few words, of which the first is the default. Another is a 400. */
export const oneOf = <const Words extends readonly [string, ...ReadonlyArray<string>]>(name: string, words: Words) =>
  Effect.flatMap(ParsedSearchParams, (parameters) => {
    const text = parameters[name] ?? words[0]
    const word = words.find((word) => word === text)
    return word === undefined
      ? Effect.fail(bad(name, `expected ${words.join(", ")}`))
      : Effect.succeed(word as Words[number])
  })
