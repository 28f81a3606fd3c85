const slices = 10

/** Two sums over the last so many milliseconds, kept in ten slices: what is older than the window is forgotten a slice at a time. */
export class SlidingSums {
  readonly #width: number
  readonly #first = new Float64Array(slices)
  readonly #second = new Float64Array(slices)
  /** The number of the newest slice, counted from time 0. */
  #newest = -Infinity
  first = 0
  second = 0

  constructor(window: number) {
    this.#width = window / slices
  }

  /** Adds to the sums at the time `now`. Time that goes backwards counts for the newest slice. */
  add(now: number, first: number, second: number): void {
    this.advance(now)
    const slot = this.#slot(this.#newest)
    this.#first[slot]! += first
    this.#second[slot]! += second
    this.first += first
    this.second += second
  }

  /** Forgets what is too old at the time `now`. */
  advance(now: number): void {
    const newest = Math.floor(now / this.#width)
    if (newest <= this.#newest) return
    for (let slice = Math.max(this.#newest, newest - slices) + 1; slice <= newest; slice++) {
      const slot = this.#slot(slice)
      this.first -= this.#first[slot]!
      this.second -= this.#second[slot]!
      this.#first[slot] = 0
      this.#second[slot] = 0
    }
    this.#newest = newest
  }

  #slot(slice: number): number {
    return ((slice % slices) + slices) % slices
  }
}
