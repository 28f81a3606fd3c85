/**
 * How long the handlers of one turn of the event loop may take before the loop reads again, in milliseconds: long enough that reading
 * costs little beside it, short enough that what was read meanwhile is young.
 */
export const sliceMillis = 2

/** The same, where handlers cost next to nothing: what is read meanwhile waits no longer in the queue of the kernel. */
const cheapMillis = 50

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
  #arrived = false
  #arrivingSince = notBegun

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer
  }

  /** Whether a request that costs next to nothing may be started as it comes: for longer than others, since to read the others first would cost as much. */
  mayStartCheap(now: number): boolean {
    return this.hasTime(now, cheapMillis)
  }

  /**
   * Whether a request may be started as it comes. Not while connections are accepted: what comes on them would be started one after the
   * other, one in a turn, and all that stand behind them in the kernel would wait unseen.
   */
  mayStart(now: number): boolean {
    return !this.#accepted && this.hasTime(now)
  }

  /** Whether one more handler may be started in this turn. */
  hasTime(now: number, slice: number = sliceMillis): boolean {
    if (this.#begunAt !== notBegun) return now - this.#begunAt < slice
    this.#begunAt = now
    this.#defer(this.#end)
    return true
  }

  /** A connection was accepted. */
  accepted(): void {
    this.#accepted = this.#arrived = true
  }

  /**
   * A request has come that waits, or a connection. Node accepts one connection in a turn, reads of it in the next, and sees in
   * the one after that its client has hung up: more may stand in the kernel.
   */
  arrived(): void {
    this.#arrived = true
  }

  /** The same, for one that waits: while something arrives, the loop turns again first, for as long as handlers have. */
  mayRun(now: number): boolean {
    if (this.#begunAt !== notBegun || !this.#isArriving(now)) return this.hasTime(now)
    this.hasTime(now)
    this.#begunAt = now - sliceMillis
    return false
  }

  #isArriving(now: number): boolean {
    if (this.#arrived && this.#arrivingSince === notBegun) this.#arrivingSince = now
    const goesOn = this.#arrived && now - this.#arrivingSince < sliceMillis
    if (!goesOn) this.#arrivingSince = notBegun
    this.#accepted = this.#arrived = false
    return goesOn
  }

  readonly #end = (): void => {
    this.#begunAt = notBegun
  }
}
