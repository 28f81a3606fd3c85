/**
 * How much of the reader's time each client may have.
 *
 * What a request costs is only known once it was read. So unlike a `RateLimit`, which refuses what is not there, this charges what was done: a
 * client may owe, and is refused until time has paid for that.
 */
import * as HttpMetrics from "@spillway/http/HttpMetrics"
import { RateLimited } from "@spillway/http/RateLimit"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import { RecencyMap } from "./recencyMap.ts"

/** As many clients are remembered: beyond them the one that was quiet for longest is forgiven. */
const maxClients = 10_000

const name = "reading"
const refused = Metric.withAttributes(HttpMetrics.rateLimited, { policy: name })

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

export class ReadingQuota {
  readonly #perMilli: number
  readonly #burst: number
  /** When all is paid that a client has had. */
  readonly #paidAt = new RecencyMap<number>()

  /** Each client gains so many tokens a second, and may save up twice as many. */
  constructor(perSecond: number) {
    this.#perMilli = perSecond / 1000
    this.#burst = 2 * perSecond
  }

  /** Fails with `RateLimited` while a client owes. */
  check(key: string): Effect.Effect<void, RateLimited> {
    return this.#take(key, 0)
  }

  /** Has something read for a deposit, and charges what it cost instead; fails as `check` does. */
  charged<A, E>(
    key: string,
    deposit: number,
    read: Effect.Effect<A, E>,
    costOf: (exit: Exit.Exit<A, E>) => number
  ): Effect.Effect<A, E | RateLimited> {
    return Effect.acquireUseRelease(
      this.#take(key, deposit),
      () => read,
      (_, exit) => Effect.map(monotonicMillis, (now) => this.#charge(key, costOf(exit) - deposit, now))
    )
  }

  #take(key: string, deposit: number): Effect.Effect<void, RateLimited> {
    return Effect.flatMap(monotonicMillis, (now) => {
      const spent = Math.max(0, (this.#paidAt.get(key) ?? now) - now) * this.#perMilli
      if (spent >= this.#burst) return this.#refuse(spent - this.#burst)
      if (deposit > 0) this.#charge(key, deposit, now)
      return Effect.void
    })
  }

  #charge(key: string, cost: number, now: number): void {
    const paidAt = this.#paidAt.get(key) ?? now
    // Of what is given back, time may have paid a part already: then that is saved up.
    this.#paidAt.set(key, (cost < 0 ? paidAt : Math.max(now, paidAt)) + cost / this.#perMilli)
    if (this.#paidAt.size > maxClients) this.#paidAt.delete(this.#paidAt.oldest!.key)
  }

  #refuse(owed: number): Effect.Effect<never, RateLimited> {
    const millis = Math.ceil((owed + 1) / this.#perMilli)
    const error = new RateLimited({
      policies: [name],
      cost: 1,
      burst: this.#burst,
      retryAfter: Duration.millis(millis),
      headers: { "retry-after": String(Math.ceil(millis / 1000)) }
    })
    return Effect.andThen(Metric.update(refused, 1), Effect.fail(error))
  }
}
