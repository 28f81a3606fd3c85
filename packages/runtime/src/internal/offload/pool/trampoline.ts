/**
 * Runs callbacks one after the other. To tell a caller runs it, and it may come back at once, with its next task or to cancel another.
 * Those who are to be told meanwhile are told after it, not within: a thousand refused callers that try again must not pile up on one
 * stack.
 */
export class Trampoline {
  readonly #waiting: Array<() => void> = []

  run(callback: () => void): void {
    if (this.#waiting.push(callback) > 1) return
    try {
      for (let i = 0; i < this.#waiting.length; i++) this.#waiting[i]!()
    } finally {
      this.#waiting.length = 0
    }
  }
}
