/**
 * A budget for repeating requests: so many for each hundred requests, whatever the number of attempts each of them would have left.
 *
 * With three attempts a request, the clients of a server that fails send three times as much as before, just when it can take
 * least; with layers of services the factors multiply. With a budget of 20 % they send at most 1.2 times as much.
 *
 * It is pure: times go in as numbers, decisions come out. `ClientRetry` drives it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { SlidingSums } from "./internal/slidingSums.ts"

/**
 * Options of `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Repetitions for each request of the window: 0.2 lets one of five requests be repeated. Finite, from 0; with 0 only
   * `minPerSecond` is there.
   *
   * @default 0.2
   */
  readonly ratio?: number | undefined
  /**
   * Repetitions a second that are there in any case, for clients that send little or have just begun. From 0; `Infinity` makes a
   * budget without limit. The reserve of the whole window may be spent at once.
   *
   * @default 10
   */
  readonly minPerSecond?: number | undefined
  /**
   * How long requests and repetitions are remembered: from 1 to 60 seconds.
   *
   * @default "10 seconds"
   */
  readonly window?: Duration.Input | undefined
}

/**
 * The defaults of `Options`: those of Finagle, which Linkerd has taken over.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults = { ratio: 0.2, minPerSecond: 10, window: "10 seconds" } as const

// A ratio like 0.29 has no exact binary form: a hundred requests must be worth 29 repetitions all the same.
const rounding = 1e-9

/**
 * The state of a budget. Made by `make`.
 *
 * **Details**
 *
 * A repetition is given only if with it the repetitions of the last window are at most `minPerSecond * window + ratio * requests`, the
 * requests being those of the same window. The rule is that of Finagle's `RetryBudget`
 * (`com/twitter/finagle/service/RetryBudget.scala`, a leaky token bucket with a reserve): each request deposits, each repetition
 * withdraws, and both are forgotten after the window. Changed: the balance is kept as two sums over ten slices of the window, not as
 * scaled integers.
 *
 * gRPC's retry throttling (proposal A6) pays in for successes and out for failures instead. It needs no clock, but stops all
 * repetitions while more than half of its tokens are gone, also the few that would help.
 *
 * **Gotchas**
 *
 * The reserve is for each budget. A thousand clients with the default reserve may send 10,000 repetitions a second together, however
 * little else they send: give many small clients a small `minPerSecond`, or 0.
 *
 * @category models
 * @since 0.1.0
 */
export class RetryBudget {
  readonly #ratio: number
  readonly #reserve: number
  /** Requests and repetitions. */
  readonly #sums: SlidingSums

  /** Use `make`, which checks the options. */
  constructor(ratio: number, reserve: number, window: number) {
    this.#ratio = ratio
    this.#reserve = reserve
    this.#sums = new SlidingSums(window)
  }

  /** Takes note of a new request, not of a repetition, at the time `now` in milliseconds of a clock that does not go backwards. */
  deposit(now: number): void {
    this.#sums.add(now, 1, 0)
  }

  /** Takes one repetition out of the budget, if there is one. */
  withdraw(now: number): boolean {
    if (this.balance(now) < 1) return false
    this.#sums.add(now, 0, 1)
    return true
  }

  /** How many repetitions there are at the time `now`; a fraction is on its way to the next. */
  balance(now: number): number {
    this.#sums.advance(now)
    return Math.max(0, this.#reserve + this.#ratio * this.#sums.first - this.#sums.second + rounding)
  }
}

/**
 * Creates a budget, to be shared by all requests to one service.
 *
 * **Details**
 *
 * Throws a `RangeError` for an option outside its range.
 *
 * **Example** (One repetition for ten requests, and one a second)
 *
 * ```ts
 * const budget = RetryBudget.make({ ratio: 0.1, minPerSecond: 1 })
 * const users = client.pipe(ClientRetry.withRetry({ budget }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): RetryBudget => {
  const { minPerSecond = defaults.minPerSecond, ratio = defaults.ratio } = options
  const seconds = Duration.toSeconds(Duration.fromInputUnsafe(options.window ?? defaults.window))
  const refuse = (field: string, range: string, value: unknown): never => {
    throw new RangeError(`RetryBudget.make: ${field} must be ${range}, got ${String(value)}`)
  }
  if (!(ratio >= 0 && ratio < Infinity)) refuse("ratio", "a finite number >= 0", ratio)
  if (!(minPerSecond >= 0)) refuse("minPerSecond", "a number >= 0", minPerSecond)
  if (!(seconds >= 1 && seconds <= 60)) refuse("window", "from 1 to 60 seconds", options.window)
  return new RetryBudget(ratio, minPerSecond * seconds, seconds * 1000)
}
