/**
 * How long the handlers of one turn of the event loop may take before the loop reads again, in milliseconds: long enough that reading
 * costs little beside it, short enough that what was read meanwhile is young.
 */
export const sliceMillis = 2

const notBegun = -1

/**
 * The time that handlers have had in the present turn of the event loop.
 *
 * A turn begins with the first request that is started in it, and ends after everything that could be read has been read. An idle server
 * has one request in a turn, which is never late: then this costs a call of `defer`.
 */
export class Turn {
  readonly #defer: (run: () => void) => void
  #begunAt = notBegun
  #accepted = false
  #acceptingSince = notBegun

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer
  }

  /** Whether one more handler may be started in this turn. */
  hasTime(now: number): boolean {
    if (this.#begunAt !== notBegun) return now - this.#begunAt < sliceMillis
    this.#begunAt = now
    this.#defer(this.#end)
    return true
  }

  /** A connection was accepted. Node accepts one in a turn, and reads of it in the next: more may stand in the kernel. */
  accepted(): void {
    this.#accepted = true
  }

  /** The same, for one that has waited: while connections come, the loop turns again first, for as long as handlers have. */
  mayRun(now: number): boolean {
    if (this.#begunAt !== notBegun || !this.#isAccepting(now)) return this.hasTime(now)
    this.hasTime(now)
    this.#begunAt = now - sliceMillis
    return false
  }

  #isAccepting(now: number): boolean {
    if (this.#accepted && this.#acceptingSince === notBegun) this.#acceptingSince = now
    const goesOn = this.#accepted && now - this.#acceptingSince < sliceMillis
    if (!goesOn) this.#acceptingSince = notBegun
    this.#accepted = false
    return goesOn
  }

  readonly #end = (): void => {
    this.#begunAt = notBegun
  }
}
