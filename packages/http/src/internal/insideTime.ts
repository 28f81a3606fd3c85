/** What was longer ago weighs less, by a factor of e in so many milliseconds. */
const memory = 1000

/**
 * For how long a request is inside that is found there, in milliseconds: not the mean of those who end, of whom the short ones are many, but the one
 * in which each counts for as long as it is inside (the inspection paradox: the mean of the squares by the mean).
 */
export class InsideTime {
  #sum = 0
  #squares = 0

  /** One has ended that was inside for so many milliseconds. */
  add(held: number): void {
    this.#sum += held
    this.#squares += held * held
  }

  /** So many milliseconds have passed. */
  pass(elapsed: number): void {
    const kept = Math.exp(-elapsed / memory)
    this.#sum *= kept
    this.#squares *= kept
  }

  /** The mean of those who ended in about the last second; 0 if there are none. */
  get mean(): number {
    return this.#sum > 0 ? this.#squares / this.#sum : 0
  }
}
