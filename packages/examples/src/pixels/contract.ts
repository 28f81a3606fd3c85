import { Offload, OffloadTask } from "@spillway/runtime"
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Transferable } from "effect/workers"

// #region contract
/** An image as bytes: a number for each pixel. */
const Pixels = Transferable.Uint8Array

export class BadSize extends Schema.TaggedError<BadSize>("pixels/BadSize")("BadSize", { width: Schema.Int }) {}

export const Images = RpcGroup.make(
  // Answers once; its bytes move both ways instead of being copied.
  Rpc.make("invert", { payload: { pixels: Pixels }, success: Schema.Uint8Array }),
  // Answers with a stream: the rows of the image, as they are done.
  Rpc.make("blur", {
    payload: { pixels: Pixels, width: Schema.Int },
    success: Schema.Uint8Array,
    error: BadSize,
    stream: true
  }),
  // Must not be cut off half-way, whoever leaves.
  Rpc.make("publish", { payload: { name: Schema.String } }).annotate(OffloadTask.Cancellation, "cooperative")
)

export class ImageOffload extends Offload.Service<ImageOffload>()("examples/Images", Images) {}
// #endregion
