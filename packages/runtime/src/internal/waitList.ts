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
  length = 0

  get oldest(): A | undefined {
    return this.next === this ? undefined : (this.next as A)
  }

  get newest(): A | undefined {
    return this.previous === this ? undefined : (this.previous as A)
  }

  append(item: A): void {
    item.previous = this.previous
    item.next = this
    this.previous.next = item
    this.previous = item
    this.length++
  }

  /** Takes an item out. The item must be in this list. */
  remove(item: A): void {
    item.previous!.next = item.next
    item.next!.previous = item.previous
    item.previous = undefined
    item.next = undefined
    this.length--
  }
}
