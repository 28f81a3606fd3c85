/** What the two machines of `layerRpc` and `layerHandlers` agree on: the group that is spoken, and its headers. */
import type { Headers } from "effect/http/Headers"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type { Wire } from "../../Offload.ts"
import { Fault, OffloadError } from "../../OffloadError.ts"
import { priorityClass } from "./executor.ts"
import type { CallOptions } from "./executor.ts"

/**
 * What a task died of, as an error of the wire: for a defect an RPC server ends, by default, all calls of the connection, and tells
 * nothing of its stack.
 */
export class RemoteDefect extends Schema.TaggedError<RemoteDefect>("@spillway/runtime/Offload/RemoteDefect")(
  "@spillway/runtime/Offload/RemoteDefect",
  { error: Fault }
) {}

/** The group with the errors of an offload added to those that each task declares. */
export const makeWireGroup = <Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>): RpcGroup.RpcGroup<Wire<Rpcs>> => {
  const rpcs = Array.from(group.requests.values(), (any) => {
    const rpc = any as unknown as Rpc.Rpc<string, Schema.Top, Schema.Top, Schema.Top>
    return rpc.setError(Schema.Union([OffloadError, RemoteDefect, rpc.errorSchema]))
  })
  return group.add(...rpcs) as never
}

/** What a request says beside its payload. Remaining time and not a deadline: the clocks of two machines differ. */
const remainingHeader = "spillway-remaining-millis"
const priorityHeader = "spillway-priority"
const cancellationHeader = "spillway-cancellation"

export interface WireOptions extends Pick<CallOptions, "priority" | "cancellation"> {
  /** The milliseconds within which the answer is needed; `Infinity` for none. */
  readonly remaining: number
}

export const toHeaders = ({ cancellation, priority, remaining }: WireOptions): Record<string, string> => ({
  ...(remaining === Infinity ? {} : { [remainingHeader]: String(Math.max(0, remaining)) }),
  ...(priority === undefined ? {} : { [priorityHeader]: priority }),
  ...(cancellation === undefined ? {} : { [cancellationHeader]: cancellation })
})

/** What is not understood is left out: it may come from anywhere. */
export const fromHeaders = (headers: Headers): WireOptions => {
  const remaining = Number(headers[remainingHeader] ?? Infinity)
  const priority = headers[priorityHeader]
  const cancellation = headers[cancellationHeader]
  return {
    remaining: remaining >= 0 ? remaining : Infinity,
    priority: priority !== undefined && Object.hasOwn(priorityClass, priority) ? (priority as "normal") : undefined,
    cancellation: cancellation === "kill" || cancellation === "cooperative" ? cancellation : undefined
  }
}
