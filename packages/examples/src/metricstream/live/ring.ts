/** The last so many items, numbered from 0 in the order in which they came. What is older is forgotten. */
export class Ring<A> {
  readonly #capacity: number
  readonly #items: Array<A> = []
  #next = 0

  /** `capacity` is a whole number from 1. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** The number of the item that comes next. */
  get next(): number {
    return this.#next
  }

  /** The number of the oldest item that is kept. */
  get oldest(): number {
    return this.#next - this.#items.length
  }

  get last(): A | undefined {
    return this.#items[(this.#next - 1) % this.#capacity]
  }

  push(item: A): void {
    this.#items[this.#next++ % this.#capacity] = item
  }

  /** The items from a number on, as far as they are kept. */
  from(number: number): Array<A> {
    const items: Array<A> = []
    for (let at = Math.max(number, this.oldest); at < this.#next; at++) items.push(this.#items[at % this.#capacity]!)
    return items
  }
}
