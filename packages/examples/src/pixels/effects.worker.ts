// #region effects
import { serve } from "@spillway/runtime/OffloadEffectWorker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { BadSize, Images } from "./contract.ts"

/** Made once in each worker, and released when the worker ends. */
class Palette extends Context.Service<Palette, { readonly white: number }>()("examples/Palette") {
  static readonly layer = Layer.succeed(Palette, { white: 255 })
}

const handlers = Images.toLayer(
  Effect.gen(function* () {
    const { white } = yield* Palette
    return {
      invert: ({ pixels }) => Effect.sync(() => pixels.map((pixel) => white - pixel)),
      blur: ({ pixels, width }) =>
        width < 1 ? Stream.fail(new BadSize({ width })) : Stream.fromIterable(rows(pixels, width)),
      publish: ({ name }) => Effect.logInfo(`published ${name}`).pipe(Effect.withSpan("publish"))
    }
  })
)

serve(Images, handlers.pipe(Layer.provide(Palette.layer)))
// #endregion

function* rows(pixels: Uint8Array, width: number) {
  for (let start = 0; start < pixels.length; start += width) yield pixels.slice(start, start + width)
}
