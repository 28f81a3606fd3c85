/** What happened in a while, and for how many milliseconds the event loop was busy in it. */
export interface Sample {
  readonly elapsed: number
  readonly busy: number
  /** Requests that came to the door, whatever became of them. */
  readonly came: number
  /** Requests that were let in and have come to their end. */
  readonly ended: number
  /** For how many milliseconds the latter were inside, together. */
  readonly held: number
}

/** What was longer ago weighs less, by a factor of e in so many milliseconds. */
const memory = 1000

/** One that was let in is taken to cost such a part of the mean at least: too many let in cost more than too few. */
const leastPart = 0.05

/** What the loop takes for a request while that is not inside, in milliseconds at most: to accept, read, answer and close was measured to take 0.1. */
const outside = 0.2

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
  #held = 0
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

  /**
   * The most that a request takes of the loop in the mean, in milliseconds: the time that the loop was busy by how many ended, and no more than for how
   * long they were inside. Only to be asked when some have ended.
   */
  get mean(): number {
    return Math.min(this.#busy, this.#held + outside * this.#ended) / this.#ended
  }

  /** The part of the time that is left for those who are let in if they cost the mean. */
  get share(): number {
    return 1 - Math.max(0, this.#busy - this.mean * this.#ended) / this.#elapsed
  }

  /**
   * The same by what they take themselves, as if they cost the mean: with `own` for that, at least a twentieth of the mean, and `left` for the part of the
   * time that is not spent on others, it is `left * mean / own`, and at least `share`. A loop that is busy all the time gives `share`, whatever is
   * thought of `own`.
   */
  get speed(): number {
    const { mean, share } = this
    if (!(this.#perEnded < mean)) return share
    const own = Math.max(leastPart * mean, this.#perEnded)
    const others = this.#busy - own * this.#ended
    return Math.max(share, ((1 - others / this.#elapsed) * mean) / own)
  }

  /** `believed` is how much all samples before still count, from 0 to 1. */
  add({ busy, came, elapsed, ended, held }: Sample, believed: number): void {
    const kept = believed * Math.exp(-elapsed / memory)
    this.#busy = kept * this.#busy + busy
    this.#ended = kept * this.#ended + ended
    this.#held = kept * this.#held + held
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
