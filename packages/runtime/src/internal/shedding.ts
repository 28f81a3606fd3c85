import * as Duration from "effect/Duration"
import type { Order, SheddingOptions } from "../AdmissionOptions.ts"

/** What `Bulkhead` and `Offload` have in common. */
interface Options {
  readonly order?: Order | undefined
  readonly codel?:
    | { readonly target?: Duration.Input | undefined; readonly interval?: Duration.Input | undefined }
    | undefined
}

/** Up to where a target follows the work, in milliseconds. */
const maxTarget = 1000

const millis = (input: Duration.Input | undefined): number | undefined =>
  input === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(input))

/** Fills the defaults in. */
export const resolveShedding = ({
  codel,
  order
}: Options): { readonly order: Order; readonly codel: SheddingOptions | undefined } => {
  if (codel === undefined) return { order: order ?? "fifo", codel: undefined }
  const follows = codel.target === undefined ? { maxTarget } : { target: millis(codel.target) }
  return { order: order ?? "adaptive", codel: { ...follows, interval: millis(codel.interval) } }
}
