/** Those who wait for a state of the pool. Each is called once, as soon as its condition holds. */
export class Listeners {
  readonly #waiting: Array<{ readonly condition: () => boolean; readonly listener: () => void }> = []

  add(condition: () => boolean, listener: () => void): void {
    this.#waiting.push({ condition, listener })
    this.notify()
  }

  /** Looks at the conditions again. */
  notify(): void {
    if (this.#waiting.length === 0) return
    const due = this.#waiting.filter(({ condition }) => condition())
    // Gone from the list before they are called: a listener may add another, and come back here.
    for (const item of due) this.#waiting.splice(this.#waiting.indexOf(item), 1)
    for (const { listener } of due) listener()
  }
}
