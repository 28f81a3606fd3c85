/** An item that carries its own links, so that taking it out of the middle is O(1) and allocates nothing. */
export interface Linked {
  previous: Linked | undefined
  next: Linked | undefined
}

/** A doubly linked list of such items: a sentinel whose `next` is the oldest item and whose `previous` is the newest. */
export class LinkedList<A extends Linked> implements Linked {
  previous: Linked = this
  next: Linked = this

  get oldest(): A | undefined {
    return this.next === this ? undefined : (this.next as A)
  }

  append(item: A): void {
    item.previous = this.previous
    item.next = this
    this.previous.next = item
    this.previous = item
  }

  /** Takes an item out, if it is in a list. */
  remove(item: A): void {
    if (item.next === undefined) return
    item.previous!.next = item.next
    item.next.previous = item.previous
    item.previous = undefined
    item.next = undefined
  }
}
