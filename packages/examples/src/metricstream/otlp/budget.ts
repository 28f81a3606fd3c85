/** What the messages of one request may cost. */
import { TooLarge, Undecodable } from "./message.ts"

/** Counts messages as they are read: how many, and how deep. A body of two bytes for each could be ten million. */
export class Budget {
  readonly #maxDepth: number
  readonly #maxMessages: number
  #depth = 0
  #messages = 0

  constructor(maxDepth: number, maxMessages: number) {
    this.#maxDepth = maxDepth
    this.#maxMessages = maxMessages
  }

  /** Begins a message. Throws `Undecodable` if it is too deep, `TooLarge` if there are too many. */
  enter(): void {
    if (++this.#depth > this.#maxDepth) {
      throw new Undecodable("", `the messages are nested more than ${this.#maxDepth} levels deep`)
    }
    if (++this.#messages > this.#maxMessages) {
      throw tooMany(this.#maxMessages)
    }
  }

  /** Ends it. */
  leave(): void {
    this.#depth--
  }
}

export const tooMany = (messages: number) =>
  new TooLarge(`send fewer data points at once: there are more than ${messages} objects and lists`)
