import type { Limits } from "./connections.ts"
import { allowance } from "./pace.ts"

/** How long a write may stand still where the kernel does not tell what a client has acknowledged: nginx's `send_timeout`, less the grace. */
const blindMillis = 55_000

/** Whether the client of a connection keeps pace, both ways. Made when it is first waited for: most never are. */
export class ClientPace {
  readonly #limits: Limits
  #bodyAllowance: number
  #readAllowance: number
  /** Whether the last sweep found us waiting for bytes of a body, and for the client to take bytes of a response. */
  #awaitedBody = false
  #awaitedReader = false
  /** What the client has acknowledged, as far as it was looked up, and whether that stood still since the time before. */
  #acknowledged: number | undefined = undefined
  #stalls = false

  constructor(limits: Limits) {
    this.#limits = limits
    this.#bodyAllowance = this.#readAllowance = limits.graceMillis
  }

  /** From 0, which keeps pace, to 1, which is as slow as is borne. */
  get slowness(): number {
    return 1 - Math.min(this.#bodyAllowance, this.#readAllowance) / this.#limits.graceMillis
  }

  /** Whether it is waited for. */
  get isAwaited(): boolean {
    return this.#awaitedBody || this.#awaitedReader
  }

  /** Charges the client for the time in which a reader waited for its body. Says whether it is too slow. */
  chargeSender(awaited: boolean, elapsed: number, received: number): boolean {
    const charged = awaited && this.#awaitedBody
    this.#awaitedBody = awaited
    if (charged) this.#bodyAllowance = allowance(this.#bodyAllowance, elapsed, received, this.#limits.body)
    return charged && this.#bodyAllowance <= 0
  }

  /** Charges the client for the time in which the kernel took no more for it. Says whether it is too slow, as far as that is known. */
  chargeReader(awaited: boolean, elapsed: number, sent: number): "keepsPace" | "suspect" | "tooSlow" {
    const charged = awaited && this.#awaitedReader
    this.#awaitedReader = awaited
    if (!charged) return "keepsPace"
    this.#readAllowance = allowance(this.#readAllowance, elapsed, sent, this.#limits.response)
    if (sent > 0) this.#stalls = false
    if (this.#readAllowance <= 0 && this.#stalls) return "tooSlow"
    return sent > 0 ? "keepsPace" : "suspect"
  }

  /**
   * What the client has acknowledged, or `undefined` where that can not be known. The kernel takes some megabytes at once and then nothing for
   * as long as a slow client needs for a third of them, so that only this shows whether the client reads.
   */
  acknowledged(bytes: number | undefined): void {
    if (bytes === undefined) {
      this.#stalls = this.#readAllowance <= -blindMillis
      return
    }
    if (this.#acknowledged !== undefined) {
      const progress = bytes - this.#acknowledged
      this.#stalls = progress <= 0
      this.#readAllowance = allowance(this.#readAllowance, 0, progress, this.#limits.response)
    }
    this.#acknowledged = bytes
  }
}
