/**
 * Redis as the `RateLimiterStore` of `RateLimitShared`. Not in the index of the package: it loads the Redis client.
 *
 * @since 0.1.0
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Redis from "effect/persistence/Redis"
import { connectInBackground } from "./internal/rateLimit/background.ts"
import { makeRedisStore } from "./internal/rateLimit/redisStore.ts"

/**
 * Options of `layer` and `layerStore`.
 *
 * @category options
 * @since 0.1.0
 */
export interface StoreOptions {
  /**
   * What the names of the keys in Redis begin with.
   *
   * @default "ratelimit:"
   */
  readonly prefix?: string | undefined
}

/**
 * The defaults of `StoreOptions`.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { prefix: "ratelimit:" } as const

/**
 * Options of `layer`: those of the `redis` client, such as `url`, `username`, `password` and `socket`, and of the store.
 *
 * @category options
 * @since 0.1.0
 */
export type Options = NonNullable<Parameters<typeof NodeRedis.layer>[0]> & StoreOptions

/**
 * Creates the store over the `Redis` service of the context.
 *
 * **Details**
 *
 * A bucket is one key, which Redis forgets when the bucket is full again; a refusal writes nothing. So Redis holds only the clients that were
 * seen within the time in which a bucket fills. Each take is one Lua script, so it is atomic, and it goes by the clock of Redis.
 * Everything but `tokenBucket` is Effect's own store.
 *
 * **Gotchas**
 *
 * Effect's `RateLimiter.layerStoreRedis` works too, but its buckets go by the clocks of the machines: one that runs a minute ahead gives
 * a minute of tokens too many once, and then those of the others gain nothing for a minute. Give it a prefix of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStore = (options: StoreOptions = {}): Layer.Layer<RateLimiter.RateLimiterStore, never, Redis.Redis> =>
  Layer.effect(RateLimiter.RateLimiterStore, makeRedisStore(options.prefix ?? defaults.prefix))

/**
 * Creates the store over a connection of its own, which is made in the background.
 *
 * **Details**
 *
 * The layer is there at once, whether Redis is or not, so that a server can start without it; until the first connection stands, every question
 * fails and the limit does what its `onUnavailable` says. Attempts follow each other after 0.1 to 2 seconds with jitter, each
 * of at most 10 seconds, without end, as do reconnections; each failed one is logged by the client as a warning. Commands are not kept for
 * later while there is no connection (`disableOfflineQueue`), unless the options say so. When the scope closes the connection is
 * cut without waiting for answers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<RateLimiter.RateLimiterStore> => {
  const { prefix, ...client } = options
  // Without this the client's own close, which waits for every answer, would wait for a Redis that has stopped.
  const cut = Layer.effectDiscard(
    Effect.flatMap(NodeRedis.NodeRedis, ({ client }) =>
      Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (client.isOpen) client.destroy()
        })
      )
    )
  )
  return connectInBackground((signal) => {
    // The socket's own options go to `net.connect`, which knows `signal`.
    const socket = { ...client.socket, signal } as Options["socket"] & object
    const redis = NodeRedis.layer({ disableOfflineQueue: true, ...client, socket })
    return Layer.mergeAll(layerStore({ prefix }), cut).pipe(Layer.provide(redis))
  })
}
