/** The consumer's end of a stream from a worker: the items that have arrived, and how the stream ended. */
import * as Effect from "effect/Effect"
import type { Outcome } from "./pool/poolTask.ts"

export class StreamBuffer<End = Outcome> {
  #items: Array<unknown> = []
  #outcome: End | undefined = undefined
  #consumed = 0
  #wake: (() => void) | undefined = undefined

  readonly items = (items: ReadonlyArray<unknown>): void => {
    this.#items.push(...items)
    this.#wake?.()
  }

  readonly settle = (_: unknown, outcome: End): void => {
    this.#outcome = outcome
    this.#wake?.()
  }

  /** Waits for items, or the end, and takes them. `grant` is told how many of the last ones the consumer is done with. */
  take(grant: (consumed: number) => void): Effect.Effect<ReadonlyArray<unknown> | { readonly outcome: End }> {
    return Effect.suspend(() => {
      if (this.#consumed > 0) grant(this.#consumed)
      this.#consumed = 0
      if (this.#items.length > 0 || this.#outcome !== undefined) return Effect.sync(this.#taken)
      return Effect.callback((resume) => {
        this.#wake = () => {
          this.#wake = undefined
          resume(Effect.sync(this.#taken))
        }
        return Effect.sync(() => {
          this.#wake = undefined
        })
      })
    })
  }

  readonly #taken = (): ReadonlyArray<unknown> | { readonly outcome: End } => {
    if (this.#items.length === 0) return { outcome: this.#outcome! }
    const items = this.#items
    this.#items = []
    this.#consumed = items.length
    return items
  }
}
