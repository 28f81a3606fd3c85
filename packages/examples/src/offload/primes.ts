// #region contract
import * as Offload from "@spillway/runtime/Offload"
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

const Limit = Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 100_000_000 }))

export const Primes = RpcGroup.make(Rpc.make("count", { payload: { below: Limit }, success: Schema.Int }))

export class PrimesOffload extends Offload.Service<PrimesOffload>()("examples/Primes", Primes) {}
// #endregion
