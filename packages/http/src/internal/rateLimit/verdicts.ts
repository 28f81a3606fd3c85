import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as HttpMetrics from "../../HttpMetrics.ts"
import type { Excess, Quota, RateLimited } from "../../RateLimit.ts"
import { withoutStack } from "../withoutStack.ts"
import { toField, tokensOf, waitOf } from "./rules.ts"
import type { Rule } from "./rules.ts"

export const isPayable = (cost: number): boolean => cost >= 0

export const badCost = (cost: number): RangeError => new RangeError(`RateLimit.take: cost must be >= 0, got ${cost}`)

/** What a client is told. */
export class Verdicts {
  readonly #rules: ReadonlyArray<Rule>
  readonly #Refusal: typeof RateLimited
  readonly #burst: number
  readonly #policyField: string
  readonly #refusals: ReadonlyArray<Metric.Counter<number>>

  /** The class is handed in, since its module needs this one. */
  constructor(rules: ReadonlyArray<Rule>, Refusal: typeof RateLimited) {
    this.#rules = rules
    this.#Refusal = Refusal
    this.#burst = Math.min(...rules.map(({ burst }) => burst))
    this.#policyField = rules.map(({ policyItem }) => policyItem).join(", ")
    this.#refusals = rules.map(({ name }) => Metric.withAttributes(HttpMetrics.rateLimited, { policy: name }))
  }

  badCost(cost: number): Effect.Effect<never> {
    return Effect.die(badCost(cost))
  }

  quota(debts: ReadonlyArray<number>): Quota {
    let remaining = Infinity
    for (let i = 0; i < debts.length; i++) remaining = Math.min(remaining, tokensOf(this.#rules[i]!, debts[i]!))
    return {
      remaining,
      reset: Duration.millis(Math.ceil(Math.max(...debts))),
      headers: { ratelimit: toField(this.#rules, debts, Infinity), "ratelimit-policy": this.#policyField }
    }
  }

  /** What is said when nobody knows what is left. */
  get unknown(): Quota {
    return { remaining: this.#burst, reset: Duration.zero, headers: { "ratelimit-policy": this.#policyField } }
  }

  toEffect(taken: Result.Result<Quota, Excess>): Effect.Effect<Quota, RateLimited> {
    return Result.isSuccess(taken) ? Effect.succeed(taken.success) : this.#fail(taken.failure)
  }

  limited(
    debts: ReadonlyArray<number>,
    cost: number,
    context: Context.Context<never>
  ): Effect.Effect<never, RateLimited> {
    return this.#fail(this.refusal(debts, cost, context))
  }

  #fail(excess: Excess): Effect.Effect<never, RateLimited> {
    return Effect.fail(withoutStack(() => new this.#Refusal(excess, { disableChecks: true })))
  }

  /** Counts a refusal, and says what is to be known of it. */
  refusal(debts: ReadonlyArray<number>, cost: number, context: Context.Context<never>): Excess {
    const policies: Array<string> = []
    let wait = 0
    for (let i = 0; i < debts.length; i++) {
      const needed = waitOf(this.#rules[i]!, debts[i]!, cost)
      if (needed === 0) continue
      wait = Math.max(wait, needed)
      policies.push(this.#rules[i]!.name)
      this.#refusals[i]!.updateUnsafe(1, context)
    }
    const seconds = Math.max(1, Math.ceil(wait / 1000))
    const headers: Record<string, string> = {
      ratelimit: toField(this.#rules, debts, seconds),
      "ratelimit-policy": this.#policyField
    }
    if (wait < Infinity) headers["retry-after"] = String(seconds)
    const retryAfter = wait < Infinity ? Duration.millis(Math.ceil(wait)) : Duration.infinity
    return { _tag: "RateLimited", policies, cost, burst: this.#burst, retryAfter, headers }
  }
}
