// #region worker
import { serve } from "@spillway/runtime/OffloadWorker"
import type { Images } from "./contract.ts"

/** What the layer gives to each worker. */
interface Data {
  readonly published: Int32Array
}

serve<typeof Images, Data>(
  ({ published }) => ({
    invert: ({ pixels }, { transfer }) => {
      for (let i = 0; i < pixels.length; i++) pixels[i] = 255 - pixels[i]!
      return transfer(pixels, [pixels.buffer as ArrayBuffer])
    },
    *blur({ pixels, width }, { fail, progress, transfer }) {
      if (width < 1 || pixels.length % width !== 0) throw fail({ _tag: "BadSize", width })
      for (let start = 0; start < pixels.length; start += width) {
        const row = blurred(pixels.subarray(start, start + width))
        progress((start + width) / pixels.length)
        yield transfer(row, [row.buffer])
      }
    },
    publish: async () => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      Atomics.add(published, 0, 1)
    }
  }),
  { close: () => console.error("a worker has ended") }
)
// #endregion

const blurred = (row: Uint8Array): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(row, (pixel, i) => ((row[i - 1] ?? pixel) + pixel + (row[i + 1] ?? pixel)) / 3)
