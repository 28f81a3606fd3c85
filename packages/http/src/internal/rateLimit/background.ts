import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { withoutStack } from "../withoutStack.ts"

type Store = RateLimiter.RateLimiterStore["Service"]

const notConnected = withoutStack(
  () =>
    new RateLimiter.RateLimiterError({
      reason: new RateLimiter.RateLimitStoreError({ message: "the store is not connected yet" })
    })
)

const betweenAttempts = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

/**
 * Builds the layer and keeps it until it is interrupted. What could not be built is let go by its signal, which ends the socket, and nobody
 * waits for its end: the client of Redis waits for answers that a Redis which has stopped never gives.
 */
const hold = <E>(make: MakeLayer<E>, use: (store: Store) => void) =>
  Effect.acquireUseRelease(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const controller = new AbortController()
      const build = Layer.buildWithMemoMap(make(controller.signal), Layer.makeMemoMapUnsafe(), scope)
      // `release` ends it.
      const building = yield* Effect.forkDetach(build)
      return { building, controller, scope }
    }),
    ({ building }) =>
      Effect.andThen(
        Effect.map(Effect.timeout(Fiber.join(building), "10 seconds"), (context) =>
          use(Context.get(context, RateLimiter.RateLimiterStore))
        ),
        Effect.never
      ),
    ({ building, controller, scope }, exit) => {
      const built = building.pollUnsafe()
      if (built !== undefined && Exit.isSuccess(built)) return Scope.close(scope, exit)
      controller.abort()
      building.interruptUnsafe()
      return Effect.asVoid(Effect.forkDetach(Scope.close(scope, exit)))
    }
  )

type MakeLayer<E> = (signal: AbortSignal) => Layer.Layer<RateLimiter.RateLimiterStore, E>

/** A store that is there at once and works as soon as the layer could be built. */
export const connectInBackground = <E>(make: MakeLayer<E>): Layer.Layer<RateLimiter.RateLimiterStore> =>
  Layer.effect(
    RateLimiter.RateLimiterStore,
    Effect.gen(function* () {
      let store: Store | undefined
      yield* hold(make, (built) => (store = built)).pipe(Effect.retry(betweenAttempts), Effect.forkScoped)
      const use = <A>(f: (store: Store) => Effect.Effect<A, RateLimiter.RateLimiterError>) =>
        Effect.suspend(() => (store === undefined ? Effect.fail(notConnected) : f(store)))
      return RateLimiter.RateLimiterStore.of({
        fixedWindow: (options) => use((store) => store.fixedWindow(options)),
        tokenBucket: (options) => use((store) => store.tokenBucket(options)),
        adaptiveConsume: (options) => use((store) => store.adaptiveConsume(options)),
        adaptiveFeedback: (options) => use((store) => store.adaptiveFeedback(options))
      })
    })
  )
