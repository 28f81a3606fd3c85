/**
 * Tasks on another machine, by Effect RPC. It is loaded only by programs that use it: the clients of HTTP and sockets take 40 ms to load.
 */
import type * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../monotonic.ts"
import { makeBounded } from "./bounded.ts"
import type { BoundedOptions } from "./bounded.ts"
import type { BoundedCall } from "./boundedCall.ts"
import type { Executor } from "./executor.ts"
import { CurrentInflow, Inflow, withInflow } from "./rpcInflow.ts"
import { NotSent, toTaskCause } from "./rpcFailure.ts"
import { toHeaders } from "./rpcWire.ts"

type Client = (
  task: string,
  payload: unknown,
  options: { readonly headers: Record<string, string>; readonly streamBufferSize?: number | undefined }
) => unknown

export const makeRpc = Effect.fnUntraced(function* (
  group: RpcGroup.RpcGroup<Rpc.Any>,
  options: BoundedOptions
): Effect.fn.Return<Executor, never, RpcClient.Protocol | Scope.Scope> {
  const protocol = yield* RpcClient.Protocol
  const client = (yield* Effect.provideService(
    RpcClient.make(group, { flatten: true }),
    RpcClient.Protocol,
    withInflow(tellingUnsent(protocol))
  )) as unknown as Client
  return yield* makeBounded(options, {
    run: (call) =>
      Effect.catchCause(
        Effect.suspend(() =>
          call.request.task.stream ? runStream(client, call, protocol.supportsAck) : runOnce(client, call)
        ),
        (cause) => Effect.failCause(toTaskCause(call.request.task.name, cause))
      ),
    decodeItems: (_, items) => Effect.succeed(items as Arr.NonEmptyReadonlyArray<unknown>)
  })
})

/** Sockets fail at once, with the error that broke them, as long as they are down. That of HTTP is the failure of a whole exchange. */
const tellingUnsent = (protocol: RpcClient.Protocol["Service"]): RpcClient.Protocol["Service"] => ({
  ...protocol,
  send: (clientId, request, transferables) =>
    Effect.mapError(protocol.send(clientId, request, transferables), (error) =>
      request._tag === "Request" && error.reason._tag.startsWith("Socket") ? (new NotSent(error) as never) : error
    )
})

const runOnce = (client: Client, { request }: BoundedCall): Effect.Effect<unknown, unknown> =>
  Effect.withFiber(
    (fiber) =>
      client(request.task.name, request.payload, {
        headers: headersOf(request, fiber.getRef(Clock.Clock))
      }) as Effect.Effect<unknown, unknown>
  )

/** Emits what has arrived, and takes more once the consumer is done with that. */
const runStream = (client: Client, call: BoundedCall, supportsAck: boolean): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) => {
    const { request } = call
    const bufferSize = request.options.bufferSize!
    const inflow = new Inflow(bufferSize)
    const items = client(request.task.name, request.payload, {
      headers: headersOf(request, fiber.getRef(Clock.Clock)),
      // Without acknowledgements, over HTTP, it is the connection that waits, and each stream has its own.
      streamBufferSize: supportsAck ? Infinity : bufferSize
    }) as Stream.Stream<unknown, unknown>
    const consumed = (batch: ReadonlyArray<unknown>) =>
      Effect.callback<void>((resume) => {
        call.onGrant = () => resume(inflow.consume(batch.length))
        call.emit(batch)
      })
    const run = Stream.runForEachArray(Stream.provideService(items, CurrentInflow, inflow), consumed)
    return Effect.ensuring(
      run,
      Effect.sync(() => inflow.onEnd())
    )
  })

const headersOf = ({ deadline, options, timeout }: BoundedCall["request"], clock: Clock.Clock) =>
  toHeaders({ ...options, remaining: Math.min(deadline - monotonicMillis(clock), timeout) })
