/** What the messages of one request may cost. */
import { TooLarge, Undecodable } from "./message.ts"

/** Counts what is read: messages, how deep they are, and elements of lists. A body of a byte for each could be twenty million. */
export class Budget {
  readonly #maxDepth: number
  readonly #maxMessages: number
  readonly #maxElements: number
  #depth = 0
  #messages = 0
  #elements = 0
  #found = 0

  constructor(maxDepth: number, maxMessages: number, maxElements: number) {
    this.#maxDepth = maxDepth
    this.#maxMessages = maxMessages
    this.#maxElements = maxElements
  }

  /** What there was to read so far: messages and elements, or the values of a text, read or not. */
  get values(): number {
    return Math.max(this.#found, this.#messages + this.#elements)
  }

  /** Takes a text with so many objects and lists, and so many values in all. Throws `TooLarge` if there are too many. */
  text(nested: number, values: number): void {
    this.#found = values
    if (nested > this.#maxMessages) throw tooMany(this.#maxMessages, "objects and lists")
    if (values > this.#maxElements) throw tooMany(this.#maxElements, "values")
  }

  /** Begins a message. Throws `Undecodable` if it is too deep, `TooLarge` if there are too many. */
  enter(): void {
    if (++this.#depth > this.#maxDepth) {
      throw new Undecodable("", `the messages are nested more than ${this.#maxDepth} levels deep`)
    }
    if (++this.#messages > this.#maxMessages) {
      throw tooMany(this.#maxMessages, "objects and lists")
    }
  }

  /** Ends it. */
  leave(): void {
    this.#depth--
  }

  /** Takes an element of a list that is not a message. Throws `TooLarge` if there are too many. */
  element(): void {
    if (++this.#elements > this.#maxElements) throw tooMany(this.#maxElements, "values")
  }
}

/** What a body has more of than is read. */
const tooMany = (max: number, what: string) =>
  new TooLarge(`send fewer data points at once: there are more than ${max} ${what}`)
