/** What happened in a while, and for how many milliseconds the event loop was busy in it. */
export interface Sample {
  readonly elapsed: number
  readonly busy: number
  /** Requests that came to the door, whatever became of them. */
  readonly came: number
  /** Requests that were let in and have come to their end. */
  readonly ended: number
}

/** What was longer ago weighs less, by a factor of e in so many milliseconds. */
const memory = 1000

/** Where it cannot be told who takes the time, those who come and time itself are believed to take so much less than those who were let in. */
const prior = 0.003

/**
 * One that was let in is taken to cost so many times what it seems to, and at least such a part of the mean: too many let in cost more than too
 * few. In simulation, with 5 ms after a wait of 100 ms at ten times the capacity, 148 of 200 a second are useful without, and 157 with it.
 */
const [caution, leastPart] = [1.25, 0.05]

/** Steps from the last solution towards the next. */
const steps = 16

/**
 * What takes the time of an event loop: each request that is let in, each that comes, and time itself, in which others run.
 *
 * Their costs are those that explain the last second best: least squares, with no cost below 0 (Lawson and Hanson, Solving Least Squares Problems,
 * chapter 23), by coordinate descent from the last solution. Where all three go together, as they do while the load stays the same, any
 * costs explain it. `speed` is right all the same: while the loop is busy all the time it is 1, whatever they are.
 */
export class LoopCost {
  #busy = 0
  #ended = 0
  #elapsed = 0
  /** Sums of products: of what came (c), ended (e) and the time that passed (t) with each other, and with the time that the loop was busy (b). */
  #cc = 0
  #ce = 0
  #ct = 0
  #ee = 0
  #et = 0
  #tt = 0
  #bc = 0
  #be = 0
  #bt = 0
  #perCome = 0
  #perEnded = 0
  #perMilli = 0

  /** How many have ended lately. */
  get ended(): number {
    return this.#ended
  }

  /** The time that the loop was busy by how many ended, in milliseconds. Only to be asked when some have. */
  get mean(): number {
    return this.#busy / this.#ended
  }

  /** How much more the mean is than what one takes that is let in: at least 1. */
  get excess(): number {
    return 1 / Math.min(1, Math.max(leastPart, (caution * this.#perEnded) / this.mean))
  }

  /** How many means of those who are let in the loop has time for in as many milliseconds as one mean. */
  get speed(): number {
    const others = this.#busy - this.#busy / this.excess
    return Math.max(0, 1 - others / this.#elapsed) * this.excess
  }

  add({ busy, came, elapsed, ended }: Sample): void {
    const kept = Math.exp(-elapsed / memory)
    this.#busy = kept * this.#busy + busy
    this.#ended = kept * this.#ended + ended
    this.#elapsed = kept * this.#elapsed + elapsed
    this.#cc = kept * this.#cc + came * came
    this.#ce = kept * this.#ce + came * ended
    this.#ct = kept * this.#ct + came * elapsed
    this.#ee = kept * this.#ee + ended * ended
    this.#et = kept * this.#et + ended * elapsed
    this.#tt = kept * this.#tt + elapsed * elapsed
    this.#bc = kept * this.#bc + busy * came
    this.#be = kept * this.#be + busy * ended
    this.#bt = kept * this.#bt + busy * elapsed
    for (let i = 0; i < steps; i++) this.#descend()
  }

  #descend(): void {
    this.#perEnded = least(this.#be - this.#perCome * this.#ce - this.#perMilli * this.#et, this.#ee)
    this.#perCome = least(this.#bc - this.#perEnded * this.#ce - this.#perMilli * this.#ct, (1 + prior) * this.#cc)
    this.#perMilli = least(this.#bt - this.#perEnded * this.#et - this.#perCome * this.#ct, (1 + prior) * this.#tt)
  }
}

const least = (part: number, whole: number): number => (whole > 0 ? Math.max(0, part / whole) : 0)
