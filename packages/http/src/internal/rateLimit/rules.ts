import * as Duration from "effect/Duration"
import type { Policy } from "../../RateLimit.ts"

/**
 * A policy in the terms of the algorithm: a bucket is known by its debt, the milliseconds until it is full again. That is the generic cell
 * rate algorithm (ITU-T I.371), a token bucket with one number instead of two.
 */
export interface Rule {
  readonly name: string
  readonly burst: number
  /** Milliseconds in which one token is gained. */
  readonly perToken: number
  /** The debt of an empty bucket. */
  readonly horizon: number
  /** Its item of `RateLimit-Policy`. */
  readonly policyItem: string
}

/** A sum of floating-point milliseconds may miss the horizon by this without being over it. */
const tolerance = 1e-5

/** Reads the policies. `where` is the function that a `RangeError` names. */
export const toRules = (where: string, policies: Policy | ReadonlyArray<Policy>): ReadonlyArray<Rule> => {
  const rules = (Array.isArray(policies) ? (policies as ReadonlyArray<Policy>) : [policies as Policy]).map((policy) =>
    toRule(where, policy)
  )
  if (rules.length === 0) throw new RangeError(`${where}: there must be at least one policy`)
  if (new Set(rules.map(({ name }) => name)).size < rules.length) {
    throw new RangeError(`${where}: the names of policies must differ`)
  }
  return rules
}

const toRule = (where: string, { burst: given, limit, name = "default", window = "1 second" }: Policy): Rule => {
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(`${where}: ${field} must be ${range}, got ${String(value)}`)
  }
  const windowMillis = Duration.toMillis(Duration.fromInputUnsafe(window))
  const burst = given ?? limit
  if (!/^[\w-]+$/.test(name)) refuse("name", "letters, digits, - and _", JSON.stringify(name))
  if (!(limit > 0 && limit < Infinity)) refuse("limit", "a finite number > 0", limit)
  if (!(windowMillis > 0 && windowMillis < Infinity)) refuse("window", "a finite duration > 0", String(window))
  if (!(burst >= 1 && burst < Infinity)) refuse("burst", "a finite number >= 1", burst)
  const perToken = windowMillis / limit
  const horizon = burst * perToken
  if (!(perToken > 0 && horizon < Infinity)) refuse("limit", "such that a bucket fills in a finite time", limit)
  const policyItem = `"${name}";q=${Math.floor(burst)};w=${Math.max(1, Math.ceil(horizon / 1000))}`
  return { name, burst, perToken, horizon, policyItem }
}

export const fits = (rule: Rule, debt: number, cost: number): boolean =>
  debt + cost * rule.perToken <= rule.horizon + tolerance

/** Whole tokens that are there. */
export const tokensOf = (rule: Rule, debt: number): number =>
  Math.max(0, Math.floor((rule.horizon - debt + tolerance) / rule.perToken))

/** Milliseconds until the cost can be paid; 0 if it can now, infinite if it never can. */
export const waitOf = (rule: Rule, debt: number, cost: number): number => {
  if (fits(rule, debt, cost)) return 0
  return cost > rule.burst ? Infinity : debt + cost * rule.perToken - rule.horizon
}

/**
 * The `RateLimit` field. The draft wants `Retry-After` not earlier than `t`, so in a refusal `t` ends at `atMost` seconds: more will be there
 * then, though not yet all.
 */
export const toField = (rules: ReadonlyArray<Rule>, debts: ReadonlyArray<number>, atMost: number): string => {
  let field = ""
  for (let i = 0; i < rules.length; i++) {
    const [rule, debt] = [rules[i]!, debts[i]!]
    const seconds = Math.min(Math.ceil((debt - tolerance) / 1000), atMost)
    field += `${i === 0 ? "" : ", "}"${rule.name}";r=${tokensOf(rule, debt)};t=${Math.max(0, seconds)}`
  }
  return field
}
