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

/** One that was let in is taken to cost such a part of the mean at least: too many let in cost more than too few. */
const leastPart = 0.05

/** Steps from the last solution towards the next. */
const steps = 8

/**
 * What takes the time of an event loop: each request that is let in, each that comes, and time itself, in which others run.
 *
 * Their costs are those that explain the last second best: least squares, solved by steps of Gauss and Seidel from the last solution, which begin with
 * those who are let in, so that what could be anybody's is theirs. It supposes that all of them cost the same: where they do not, or compute at other
 * times than they end, it may find that they cost nothing.
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

  /**
   * How much faster than one in a mean cost requests may be let in, by what they take themselves: at least 1. With `own` for that, 20 times less than the
   * mean at least, and `share` for the part of the time that is not spent on others, it is `share * mean / own`. A loop that is busy all the time gives 1,
   * whatever is thought of `own`.
   */
  get speed(): number {
    const { mean } = this
    if (!(this.#perEnded < mean)) return 1
    const part = Math.max(leastPart, this.#perEnded / mean)
    const others = (1 - part) * this.#busy
    return Math.max(1, (1 - others / this.#elapsed) / part)
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
    this.#perEnded = ratio(this.#be - this.#perCome * this.#ce - this.#perMilli * this.#et, this.#ee)
    this.#perCome = ratio(this.#bc - this.#perEnded * this.#ce - this.#perMilli * this.#ct, this.#cc)
    this.#perMilli = ratio(this.#bt - this.#perEnded * this.#et - this.#perCome * this.#ct, this.#tt)
  }
}

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0)
