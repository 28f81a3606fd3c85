import * as Effect from "effect/Effect"
import type { Visitor } from "../Admission.ts"
import type { Exchange } from "./exchange.ts"

/** A request that was inside already and wants to go on. */
export class Resumption implements Visitor {
  readonly partition: number
  readonly #exchange: Exchange
  readonly #resume: (effect: Effect.Effect<void>) => void

  constructor(exchange: Exchange, resume: (effect: Effect.Effect<void>) => void) {
    this.partition = exchange.partition
    this.#exchange = exchange
    this.#resume = resume
  }

  admitted(now: number): void {
    this.#exchange.hold(now)
    this.#resume(Effect.void)
  }

  refused(): void {
    // The door does not refuse those who resume.
  }
}
