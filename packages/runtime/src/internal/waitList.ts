/**
 * A doubly linked list that is its own storage: an item carries its links, so that taking one out of the middle is O(1)
 * and allocates nothing. The list is a sentinel whose `next` is the oldest item and whose `previous` is the newest.
 */
export interface Linked {
  previous: Linked | undefined
  next: Linked | undefined
}

export class WaitList<A extends Linked> implements Linked {
  previous: Linked = this
  next: Linked = this

  get oldest(): A | undefined {
    return this.next === this ? undefined : (this.next as A)
  }

  get newest(): A | undefined {
    return this.previous === this ? undefined : (this.previous as A)
  }

  append(item: A): void {
    this.#link(item, this)
  }

  /** Puts an item before the first, from the oldest on, for which `isLater` holds, or last if there is none. */
  insert(item: A, isLater: (other: A) => boolean): void {
    let next = this.next
    while (next !== this && !isLater(next as A)) next = next.next!
    this.#link(item, next)
  }

  /** Takes an item out. The item must be in this list. */
  remove(item: A): void {
    item.previous!.next = item.next
    item.next!.previous = item.previous
    item.previous = undefined
    item.next = undefined
  }

  #link(item: A, next: Linked): void {
    item.previous = next.previous
    item.next = next
    next.previous!.next = item
    next.previous = item
  }
}
