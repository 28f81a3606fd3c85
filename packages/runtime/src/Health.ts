/**
 * Checks that say whether a process can do its work: the readiness of a load balancer's point of view.
 *
 * Liveness is not here on purpose. It says only that the process answers at all; a check of a dependency does not belong in it, or
 * an outage of that dependency restarts every healthy process.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"

/**
 * The outcome of one check.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  /** The name under which the check was given. */
  readonly name: string
  /** Whether it succeeded in time. */
  readonly healthy: boolean
}

/**
 * Options of `Health.layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<R = never> {
  /** The checks by name. A check is healthy when its effect succeeds. Its failure is logged, not shown to clients. */
  readonly checks: Readonly<Record<string, Effect.Effect<unknown, unknown, R>>>
  /**
   * The longest a check may take; longer is unhealthy. From 0; `Infinity` waits without limit.
   *
   * @default "1 second"
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * How long an outcome is reused, so that a flood of probes cannot become a flood of queries. `0` checks each time.
   *
   * @default "1 second"
   */
  readonly reuse?: Duration.Input | undefined
}

/**
 * The defaults of `Options`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { timeout: "1 second", reuse: "1 second" } as const

const runCheck = (name: string, check: Effect.Effect<unknown, unknown>, timeout: Duration.Duration) =>
  check.pipe(
    Effect.timeout(timeout),
    Effect.exit,
    Effect.tap((exit) =>
      Exit.isSuccess(exit)
        ? Effect.void
        : Effect.logWarning("health check failed", Cause.pretty(exit.cause)).pipe(Effect.annotateLogs("check", name))
    ),
    Effect.map((exit): Check => ({ name, healthy: Exit.isSuccess(exit) }))
  )

/**
 * Service that runs the health checks.
 *
 * @category services
 * @since 0.1.0
 */
export class Health extends Context.Service<
  Health,
  {
    /** Runs all checks at once and returns their outcomes in the order they were given, at most `reuse` old. */
    readonly check: Effect.Effect<ReadonlyArray<Check>>
  }
>()("@spillway/runtime/Health") {
  /** Makes the service from its checks. */
  static readonly layer = <R = never>(options: Options<R>): Layer.Layer<Health, never, R> =>
    Layer.effect(
      Health,
      Effect.gen(function* () {
        const timeout = Duration.fromInputUnsafe(options.timeout ?? defaults.timeout)
        const context = yield* Effect.context<R>()
        const all = Effect.forEach(
          Object.entries(options.checks),
          ([name, check]) => runCheck(name, Effect.provideContext(check, context), timeout),
          { concurrency: "unbounded" }
        )
        return { check: yield* Effect.cachedWithTTL(all, options.reuse ?? defaults.reuse) }
      })
    )

  /** No checks: always healthy. */
  static readonly layerNone: Layer.Layer<Health> = Layer.succeed(Health, { check: Effect.succeed([]) })
}
