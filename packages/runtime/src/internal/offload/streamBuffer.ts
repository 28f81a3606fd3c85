/** The consumer's end of a stream from a worker: the items that have arrived, and how the stream ended. */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Outcome } from "./pool/poolTask.ts"

export class StreamBuffer<End = Outcome> {
  #items: Array<unknown> = []
  #outcome: End | undefined = undefined
  #consumed = 0
  #wake: (() => void) | undefined = undefined

  readonly items = (items: ReadonlyArray<unknown>): void => {
    // A batch may have more items than a call may have arguments.
    for (const item of items) this.#items.push(item)
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

/** Takes all that has arrived, for `Stream.fromPull`. The items of the last pull are done with now, and room for new ones. */
export const pullFrom = <End>(
  buffer: StreamBuffer<End>,
  on: {
    readonly grant: (consumed: number) => void
    readonly decode: (items: ReadonlyArray<unknown>) => Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>>
    readonly end: (outcome: End) => Effect.Effect<never, unknown>
  }
): Effect.Effect<Arr.NonEmptyReadonlyArray<unknown>, unknown> =>
  Effect.flatMap(buffer.take(on.grant), (taken) => ("outcome" in taken ? on.end(taken.outcome) : on.decode(taken)))
