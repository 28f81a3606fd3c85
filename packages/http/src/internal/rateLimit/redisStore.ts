import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Redis from "effect/persistence/Redis"

/**
 * The contract of `RateLimiterStore.tokenBucket` with one key: when the bucket is full again, in milliseconds of the clock of Redis. It
 * expires then. A clock that was set back leaves at most an empty bucket. Milliseconds since 1970 leave a double 10 bits after the point.
 */
const tokenBucket = Redis.script(
  (key: string, tokens: number, refillMillis: number, limit: number, overflow: 0 | 1) => [
    key,
    tokens,
    refillMillis,
    limit,
    overflow
  ],
  {
    numberOfKeys: 1,
    lua: `
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local tokens = tonumber(ARGV[1])
local refill = tonumber(ARGV[2])
local horizon = tonumber(ARGV[3]) * refill
local overflow = ARGV[4] == "1"
local debt = (tonumber(redis.call("GET", KEYS[1])) or now) - now
if debt < 0 then debt = 0 end
if debt > horizon and not overflow then debt = horizon end
local next = debt + tokens * refill
if next < 0 then next = 0 end
local spare = horizon - next
if spare < 0 and spare > -0.001 then spare = 0 end
if tokens ~= 0 and (spare >= 0 or overflow) then
  if next > 0 then
    redis.call("SET", KEYS[1], string.format("%.17g", now + next), "PX", math.ceil(next))
  else
    redis.call("DEL", KEYS[1])
  end
end
local remaining = math.floor(spare / refill + 0.000001)
local elapsed = math.max(0, spare - remaining * refill)
return { string.format("%.17g", remaining), string.format("%.17g", elapsed) }
`
  }
).withReturnType<readonly [remaining: string, elapsedMillis: string]>()

const failed = (cause: Redis.RedisError) =>
  new RateLimiter.RateLimiterError({
    reason: new RateLimiter.RateLimitStoreError({ message: "the token bucket could not be asked", cause: cause.cause })
  })

export const makeRedisStore = Effect.fnUntraced(function* (prefix: string) {
  const effects = yield* RateLimiter.makeStoreRedis({ prefix })
  const redis = yield* Redis.Redis
  const take = redis.eval(tokenBucket)
  return RateLimiter.RateLimiterStore.of({
    ...effects,
    tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
      take(`${prefix}${key}`, tokens, Duration.toMillis(refillRate), limit, allowOverflow ? 1 : 0).pipe(
        Effect.map(([remaining, elapsed]) => [Number(remaining), Number(elapsed)] as const),
        Effect.mapError(failed)
      )
  })
})
