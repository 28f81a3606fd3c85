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
  /** How many event loops share it. */
  readonly loops: number
  readonly listen: (server: Server) => Effect.Effect<Listening, ServeError>
}

/** A server that has its address. */
export interface Listening {
  readonly address: NetAddress.SocketAddress
  /** Takes connections from now on, unless it did before. */
  readonly accept: Effect.Effect<void, ServeError>
  /** Closes what only `accept` gives to the server. */
  readonly close: () => void
}

const toServeError = (cause: unknown): ServeError => {
  const why = cause instanceof Error ? cause.message : String(cause)
  const fields = { cause, message: `the server can not listen: ${why}` }
  return new ServeError(fields)
}

const fail = (cause: unknown) => Effect.fail(toServeError(cause))

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
        return { budget: undefined, loops: 1, listen: (server) => listen(server, (done) => server.listen(where, done)) }
      })
    }
    return Effect.map(Effect.catch(link.open({ backlog, host, inherit, port }), fail), ({ budget, fd }): Place => {
      link.tell({ type: "bound", millis: options.preStop + options.drainTimeout + drainMargin })
      return {
        loops: link.boot.loops,
        budget: SharedBudget.make({
          cells: budget,
          seat: link.boot.seat,
          limit: options.maxConcurrent,
          maxQueued: options.maxQueued,
          now: () => monotonicMillis(clock)
        }),
        listen: (server) =>
          fd === undefined
            ? Effect.tap(
                listen(server, (done) => server.listen({ port, host, backlog }, done)),
                () => announce(server, link)
              )
            : listenLater({ server, fd, backlog, link })
      }
    })
  })

const announce = (server: Server, link: Link): Effect.Effect<void> =>
  Effect.sync(() => {
    const { address, port } = server.address() as AddressInfo
    link.tell({ type: "listening", host: address, port })
  })

interface Later {
  readonly server: Server
  readonly fd: number
  readonly backlog: number
  readonly link: Link
}

/**
 * The socket of a loop may listen already, because its predecessor does or did: what it accepted before it can answer would be refused.
 * Until then connections wait in the socket, or go to the predecessor.
 */
const listenLater = ({ backlog, fd, link, server }: Later): Effect.Effect<Listening, ServeError> =>
  Effect.gen(function* () {
    const handle = yield* Effect.catch(duplicate(fd), fail)
    const name: { address?: string; port?: number } = {}
    handle.getsockname(name)
    const address = yield* parse(name.address ?? "", name.port ?? 0)
    let given = false
    const accept = listen(server, (done) => {
      given = true
      server.listen(handle, backlog, done)
    })
    return {
      address,
      accept: Effect.andThen(accept, announce(server, link)),
      // Node's sockets close theirs themselves.
      close: () => {
        if (!given) handle.close()
      }
    }
  })

const findInherited = (inherit: boolean | string): Effect.Effect<number | undefined, ServeError> =>
  Effect.try({ try: () => inheritedFd(inherit), catch: toServeError })

const listen = (server: Server, begin: (done: () => void) => void): Effect.Effect<Listening, ServeError> =>
  Effect.callback<void, ServeError>((resume) => {
    const onError = (cause: Error) => resume(fail(cause))
    server.once("error", onError)
    begin(() => {
      server.off("error", onError)
      resume(Effect.void)
    })
  }).pipe(
    Effect.andThen(Effect.suspend(() => addressOf(server))),
    Effect.map((address) => ({ address, accept: Effect.void, close: () => {} }))
  )

const addressOf = (server: Server): Effect.Effect<NetAddress.SocketAddress, ServeError> => {
  const address = server.address()
  if (address === null) return Effect.die(new Error("the server does not listen"))
  // An inherited socket may be one of the file system.
  if (typeof address === "string") return Effect.succeed(NetAddress.unixPathAddress(address))
  return parse(address.address, address.port)
}

const parse = (address: string, port: number): Effect.Effect<NetAddress.SocketAddress, ServeError> => {
  const parsed = NetAddress.inetAddressFromIpString(address, port)
  return Result.isSuccess(parsed) ? Effect.succeed(parsed.success) : fail(parsed.failure)
}
