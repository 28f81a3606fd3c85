/** A map that knows which of its keys was not set for longest. */

interface Entry<A> {
  readonly key: string
  value: A
  older: Entry<A> | undefined
  newer: Entry<A> | undefined
}

/**
 * A map in the order in which its keys were last set; each operation takes the same time, however many there are.
 *
 * A `Map` has that order, too, if keys are deleted and set anew. But V8 only marks what is deleted until it builds the table anew: until then it looks
 * for a key among all its former entries, and for the oldest one behind all that went, which took a minute for a request of 600 kB.
 */
export class RecencyMap<A> {
  readonly #entries = new Map<string, Entry<A>>()
  #oldest: Entry<A> | undefined
  #newest: Entry<A> | undefined

  get size(): number {
    return this.#entries.size
  }

  get oldest(): Pick<Entry<A>, "key" | "value"> | undefined {
    return this.#oldest
  }

  get(key: string): A | undefined {
    return this.#entries.get(key)?.value
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  set(key: string, value: A): void {
    const known = this.#entries.get(key)
    const entry = known ?? { key, value, older: undefined, newer: undefined }
    if (known === undefined) this.#entries.set(key, entry)
    else this.#unlink(entry)
    entry.value = value
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#unlink(entry)
  }

  #unlink({ newer, older }: Entry<A>): void {
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
  }
}
