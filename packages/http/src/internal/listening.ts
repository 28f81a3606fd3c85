import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import { ServeError } from "effect/http/HttpServerError"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type { AddressInfo, Server } from "node:net"
import type { Budget } from "../Admission.ts"
import type { Resolved } from "../ServerConfig.ts"
import * as SharedBudget from "../SharedBudget.ts"
import { inheritedFd } from "./inherited.ts"
import { monotonicMillis } from "./monotonic.ts"
import { duplicate } from "./multiLoop/handles.ts"
import { CurrentLink } from "./multiLoop/link.ts"
import type { Link } from "./multiLoop/link.ts"

type ListenOptions = Pick<
  Resolved,
  "port" | "host" | "backlog" | "inherit" | "maxConcurrent" | "maxQueued" | "preStop" | "drainTimeout"
>

/** Where a server listens, and what its door shares with those of other loops. */
export interface Place {
  readonly budget: Budget | undefined
  readonly listen: (server: Server) => Effect.Effect<NetAddress.SocketAddress, ServeError>
}

const fail = (cause: unknown) => Effect.fail(new ServeError({ cause }))

/** The most that a drain takes beyond `preStop` and `drainTimeout`: it accepts what waits, and flushes what was interrupted. */
const drainMargin = 1100

/**
 * Finds the place of a server: on a socket of the supervisor of its loop, on one that the process has inherited, or on a port of its own.
 */
export const findPlace = (options: ListenOptions, clock: Clock): Effect.Effect<Place, ServeError> =>
  Effect.flatMap(CurrentLink, (link) => {
    const { backlog, host, inherit, port } = options
    if (link === undefined) {
      return Effect.map(findInherited(inherit), (fd): Place => {
        const where = fd === undefined ? { port, host, backlog } : { fd, backlog }
        return { budget: undefined, listen: (server) => listen(server, (done) => server.listen(where, done)) }
      })
    }
    return Effect.map(Effect.catch(link.open({ backlog, host, inherit, port }), fail), ({ budget, fd }): Place => {
      link.tell({ type: "bound", millis: options.preStop + options.drainTimeout + drainMargin })
      return {
        budget: SharedBudget.make({
          cells: budget,
          seat: link.boot.seat,
          limit: options.maxConcurrent,
          maxQueued: options.maxQueued,
          now: () => monotonicMillis(clock)
        }),
        listen: (server) => {
          const listening =
            fd === undefined
              ? listen(server, (done) => server.listen({ port, host, backlog }, done))
              : Effect.flatMap(Effect.catch(duplicate(fd), fail), (handle) =>
                  listen(server, (done) => server.listen(handle, backlog, done))
                )
          return Effect.tap(listening, () => Effect.sync(() => announce(server, link)))
        }
      }
    })
  })

const announce = (server: Server, link: Link): void => {
  const { address, port } = server.address() as AddressInfo
  link.tell({ type: "listening", host: address, port })
}

const findInherited = (inherit: boolean | string): Effect.Effect<number | undefined, ServeError> =>
  Effect.try({ try: () => inheritedFd(inherit), catch: (cause) => new ServeError({ cause }) })

const listen = (
  server: Server,
  begin: (done: () => void) => void
): Effect.Effect<NetAddress.SocketAddress, ServeError> =>
  Effect.callback<void, ServeError>((resume) => {
    const onError = (cause: Error) => resume(fail(cause))
    server.once("error", onError)
    begin(() => {
      server.off("error", onError)
      resume(Effect.void)
    })
  }).pipe(Effect.andThen(Effect.suspend(() => addressOf(server))))

const addressOf = (server: Server): Effect.Effect<NetAddress.SocketAddress, ServeError> => {
  const address = server.address()
  if (address === null) return Effect.die(new Error("the server does not listen"))
  // An inherited socket may be one of the file system.
  if (typeof address === "string") return Effect.succeed(NetAddress.unixPathAddress(address))
  const parsed = NetAddress.inetAddressFromIpString(address.address, address.port)
  return Result.isSuccess(parsed) ? Effect.succeed(parsed.success) : fail(parsed.failure)
}
