import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Attack from "../Attack.ts"
import type { ConnectFailed, Input } from "../Target.ts"
import { resolve } from "../Target.ts"
import type { Resolved } from "../Target.ts"
import { openSocket } from "./openSocket.ts"
import { reportOf } from "./report.ts"
import type { One } from "./report.ts"
import { Watched } from "./Watched.ts"

type Open<C> = (
  target: Resolved,
  clock: Clock.Clock,
  connectTimeout: number
) => Effect.Effect<C, ConnectFailed, Scope.Scope>

/** What one connection of an attack is. */
export interface Behaviour<C extends Watched> {
  readonly open: Open<C>
  /** What it does until it has ended. */
  readonly act: (connection: C, target: Resolved) => Effect.Effect<void>
}

/** A plain connection that reads what comes. `methods` are those of the requests that it sends. */
export const plain =
  (methods: ReadonlyArray<string> = []): Open<Watched> =>
  (target, clock, connectTimeout) =>
    Effect.map(
      openSocket(target, { connectTimeout }),
      (socket) => new Watched(socket, clock, { methods, keepBodies: false })
    )

/** A bad literal option is a bug of the caller. */
export const checkInteger = (name: string, value: number, minimum = 1): void => {
  if (Number.isInteger(value) && value >= minimum) return
  throw new RangeError(`${name} must be an integer >= ${minimum}, got ${value}`)
}

/** The time as milliseconds above 0. */
export const checkMillis = (name: string, value: Duration.Input): number => {
  const millis = Duration.toMillis(value)
  if (!(millis > 0)) throw new RangeError(`${name} must be above 0, got ${millis} ms`)
  return millis
}

/** An integer, or `Infinity`. */
export const checkCount = (name: string, value: number, minimum = 1): number => {
  if (value !== Infinity) checkInteger(name, value, minimum)
  return value
}

const settle = (options: Attack.Options, name: string) => {
  const { connections, connectConcurrency, connectTimeout, duration } = {
    ...Attack.defaults,
    ...withoutUndefined(options)
  }
  checkInteger(`${name}: connections`, connections, 1)
  return {
    connections,
    connectConcurrency: checkCount(`${name}: connectConcurrency`, connectConcurrency),
    connectTimeout: checkMillis(`${name}: connectTimeout`, connectTimeout),
    duration: checkMillis(`${name}: duration`, duration)
  }
}

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/** An option that is `undefined` takes its default. */
export const withoutUndefined = <A extends object>(options: A): Defined<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<A>

/** Waits for `self`, at most so long. */
export const atMost = (self: Effect.Effect<void>, millis: number): Effect.Effect<void> =>
  millis === Infinity ? self : Effect.asVoid(Effect.timeoutOption(self, millis))

const describe = (connection: Watched, connectMillis: number): One => ({
  ending: connection.ending,
  statuses: connection.answers.parsed().answers.map(({ status }) => status),
  afterMillis: connection.lived,
  connectMillis,
  sentBytes: connection.socket.bytesWritten,
  receivedBytes: connection.receivedBytes,
  received: connection.received,
  code: undefined
})

const refused = ({ code }: ConnectFailed): One => ({
  ending: "refused",
  statuses: [],
  afterMillis: 0,
  connectMillis: 0,
  sentBytes: 0,
  receivedBytes: 0,
  received: "",
  code
})

/** Opens the connections, at most so many at once, has each behave until it ends or its time is over, and reports. */
export const run = <C extends Watched>(
  name: string,
  input: Input,
  options: Attack.Options,
  behaviour: Behaviour<C>
): Effect.Effect<Attack.Report> =>
  Effect.gen(function* () {
    const target = resolve(input)
    const { connectConcurrency, connections, connectTimeout, duration } = settle(options, name)
    const clock = yield* Clock.Clock
    const scope = yield* Effect.scope

    const one = Effect.fnUntraced(
      function* (opened: Deferred.Deferred<void>) {
        const before = monotonicMillis(clock)
        const opening = behaviour.open(target, clock, connectTimeout)
        const connection = yield* Effect.ensuring(opening, Deferred.succeed(opened, undefined))
        const connectMillis = monotonicMillis(clock) - before
        const act = Effect.andThen(behaviour.act(connection, target), connection.ended)
        yield* atMost(Effect.raceFirst(act, connection.ended), duration)
        return describe(connection, connectMillis)
      },
      Effect.scoped,
      Effect.catch((error) => Effect.succeed(refused(error)))
    )

    const start = Effect.gen(function* () {
      const opened = Deferred.makeUnsafe<void>()
      const fiber = yield* Effect.forkIn(one(opened), scope)
      yield* Deferred.await(opened)
      return fiber
    })
    const all = Array.from({ length: connections }, () => start)
    const fibers = yield* Effect.all(all, { concurrency: connectConcurrency })
    return reportOf(yield* Fiber.joinAll(fibers))
  }).pipe(Effect.scoped)
