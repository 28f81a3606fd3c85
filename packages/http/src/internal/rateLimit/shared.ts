import type * as Context from "effect/Context"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import type { RateLimiterError, RateLimiterStore } from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpMetrics from "../../HttpMetrics.ts"
import type { Quota, RateLimit, RateLimited } from "../../RateLimit.ts"
import type { OnUnavailable, RateLimitUnavailable } from "../../RateLimitShared.ts"
import { monotonicMillis } from "../monotonic.ts"
import { withoutStack } from "../withoutStack.ts"
import { BucketTable } from "./bucketTable.ts"
import { toId } from "./clientKeys.ts"
import { fits } from "./rules.ts"
import type { Rule } from "./rules.ts"
import { isPayable, Verdicts } from "./verdicts.ts"

export interface Shared {
  readonly rules: ReadonlyArray<Rule>
  readonly settings: {
    readonly onUnavailable: OnUnavailable
    readonly timeout: Duration.Duration
    readonly maxKeys: number
  }
  readonly store: RateLimiterStore["Service"]
  readonly breaker: CircuitBreaker.CircuitBreaker
  readonly Refusal: typeof RateLimited
  readonly unavailable: () => RateLimitUnavailable
}

/** The store did not answer. */
interface Silence {
  readonly _tag: "Silence"
  readonly reason: "TimedOut" | "Failed" | "Away"
  readonly cause: unknown
}

/** What the store says of each policy: tokens left after this, below 0 if it refuses, and milliseconds of the next token gone. */
type Answers = ReadonlyArray<readonly [remaining: number, elapsed: number]>

const circuit = "store"

const failures = {
  TimedOut: Metric.withAttributes(HttpMetrics.rateLimitStoreFailures, { reason: "TimedOut" }),
  Failed: Metric.withAttributes(HttpMetrics.rateLimitStoreFailures, { reason: "Failed" }),
  Away: Metric.withAttributes(HttpMetrics.rateLimitStoreFailures, { reason: "Away" })
}

/** Asks the store, within a time, and not at all while it is away. */
class Asker {
  readonly #shared: Shared
  #lastCause: unknown = undefined

  constructor(shared: Shared) {
    this.#shared = shared
  }

  #guard<A>(self: Effect.Effect<A, RateLimiterError>): Effect.Effect<A, Silence> {
    const { breaker, settings } = this.#shared
    const timed = self.pipe(
      Effect.mapError((cause): Silence => ({ _tag: "Silence", reason: "Failed", cause })),
      Effect.timeoutOrElse({
        duration: settings.timeout,
        orElse: () => Effect.fail<Silence>({ _tag: "Silence", reason: "TimedOut", cause: undefined })
      }),
      Effect.tapError((silence) => Effect.sync(() => (this.#lastCause = silence.cause ?? silence.reason)))
    )
    return breaker.execute(timed, { key: circuit }).pipe(
      Effect.mapError((error): Silence =>
        error._tag === "Silence" ? error : { _tag: "Silence", reason: "Away", cause: error }
      ),
      Effect.tapError(({ reason }) =>
        Effect.withFiber(({ context }) => Effect.sync(() => failures[reason].updateUnsafe(1, context)))
      )
    )
  }

  #bucket(rule: Rule, id: string, tokens: number): Effect.Effect<readonly [number, number], RateLimiterError> {
    return this.#shared.store.tokenBucket({
      // The braces put all that a client has into one slot of a Redis cluster.
      key: `${rule.name}:{${id}}`,
      tokens,
      limit: rule.burst,
      refillRate: Duration.millis(rule.perToken),
      allowOverflow: false
    })
  }

  take(id: string, tokens: number): Effect.Effect<Answers, Silence> {
    const { rules } = this.#shared
    const [only] = rules
    return this.#guard(
      rules.length === 1
        ? Effect.map(this.#bucket(only!, id, tokens), (answer) => [answer])
        : Effect.forEach(rules, (rule) => this.#bucket(rule, id, tokens), { concurrency: "unbounded" })
    )
  }

  /** Gives back what some policies gave. A store that fails now has been counted; more can not be done. */
  giveBack(id: string, tokens: number, rules: ReadonlyArray<Rule>): Effect.Effect<void> {
    if (rules.length === 0) return Effect.void
    const refunds = Effect.forEach(rules, (rule) => this.#bucket(rule, id, -tokens), {
      concurrency: "unbounded",
      discard: true
    })
    return Effect.catch(Effect.uninterruptible(this.#guard(refunds)), () => Effect.void)
  }

  /** Says when the store goes away and when it is back; not each time that it is tried in between. */
  get watch(): Effect.Effect<void> {
    return Stream.runForEach(this.#shared.breaker.transitions, ({ from, to }) => {
      if (from === "Closed") {
        return Effect.logWarning("the store of the rate limits is away", this.#lastCause).pipe(
          Effect.annotateLogs({ onUnavailable: this.#shared.settings.onUnavailable })
        )
      }
      return to === "Closed" ? Effect.logInfo("the store of the rate limits is back") : Effect.void
    })
  }
}

/** The debt of each bucket if nothing is taken, as the store knows it. */
const toDebts = (rules: ReadonlyArray<Rule>, answers: Answers, cost: number): Array<number> =>
  rules.map(({ burst, horizon, perToken }, i) => {
    const [remaining, elapsed] = answers[i]!
    return Math.max(0, Math.min(horizon, (burst - remaining - cost) * perToken - elapsed))
  })

/**
 * A limit over a store. The table holds for each client the least that it can owe: what the store said last, less what it has gained since.
 * Others can only have taken more, so whoever this refuses the store would refuse too.
 */
export const makeShared = (shared: Shared): Effect.Effect<RateLimit<RateLimitUnavailable>, never, Scope.Scope> => {
  const { rules, settings } = shared
  const asker = new Asker(shared)
  const table = new BucketTable(rules, settings.maxKeys)
  const verdicts = new Verdicts(rules, shared.Refusal)

  const fitsAll = (debts: ReadonlyArray<number>, cost: number) => rules.every((rule, i) => fits(rule, debts[i]!, cost))

  const charge = (id: string, debts: Array<number>, cost: number, now: number): Effect.Effect<Quota> => {
    for (let i = 0; i < rules.length; i++) debts[i]! += cost * rules[i]!.perToken
    table.set(id, debts, now)
    return Effect.succeed(verdicts.quota(debts))
  }

  const withoutStore = (
    id: string,
    cost: number,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<Quota, RateLimited | RateLimitUnavailable> => {
    switch (settings.onUnavailable) {
      case "closed":
        return Effect.fail(withoutStack(shared.unavailable))
      case "open":
        return Effect.succeed(verdicts.unknown)
      case "local": {
        const now = nowOf(fiber)
        const debts = table.debts(id, now)
        return fitsAll(debts, cost) ? charge(id, debts, cost, now) : verdicts.limited(debts, cost, fiber.context)
      }
    }
  }

  const settle = (
    id: string,
    cost: number,
    answers: Answers,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<Quota, RateLimited> => {
    const now = nowOf(fiber)
    const debts = toDebts(rules, answers, cost)
    const paid = rules.filter((_, i) => answers[i]![0] >= 0)
    if (paid.length === rules.length) return charge(id, debts, cost, now)
    table.set(id, debts, now)
    return Effect.andThen(asker.giveBack(id, cost, paid), limitedBy(answers, debts, cost, fiber.context))
  }

  // What the store refused is refused, also if the last bit of a sum says otherwise here.
  const limitedBy = (answers: Answers, debts: Array<number>, cost: number, context: Context.Context<never>) => {
    const short = debts.map((debt, i) => (answers[i]![0] < 0 && fits(rules[i]!, debt, cost) ? debt + 1 : debt))
    return verdicts.limited(short, cost, context)
  }

  const ask = (key: string, cost: number, needed: number) =>
    Effect.withFiber((fiber): Effect.Effect<Quota, RateLimited | RateLimitUnavailable> => {
      if (!isPayable(cost)) return verdicts.badCost(cost)
      const id = toId(key)
      const known = table.debts(id, nowOf(fiber))
      if (!fitsAll(known, needed)) return verdicts.limited(known, needed, fiber.context)
      return Effect.matchEffect(asker.take(id, cost), {
        onFailure: () => withoutStore(id, cost, fiber),
        onSuccess: (answers) => settle(id, cost, answers, fiber)
      })
    })

  const limit: RateLimit<RateLimitUnavailable> = {
    policies: rules.map(({ name }) => name),
    take: (key, cost = 1) => ask(key, cost, cost),
    check: (key) =>
      Effect.flatMap(ask(key, 0, 1), () =>
        Effect.withFiber((fiber) => {
          const debts = table.debts(toId(key), nowOf(fiber))
          return fitsAll(debts, 1) ? Effect.void : verdicts.limited(debts, 1, fiber.context)
        })
      ),
    size: Effect.sync(() => table.size)
  }
  return Effect.as(Effect.forkScoped(asker.watch, { startImmediately: true }), limit)
}

const nowOf = (fiber: Fiber.Fiber<unknown, unknown>): number => monotonicMillis(fiber.getRef(Clock.Clock))
