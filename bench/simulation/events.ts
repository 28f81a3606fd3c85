/**
 * An event queue with a clock of its own: what is due earliest runs next, and what is due at the same time in the order of `at`.
 *
 * Events lie unsorted in the millisecond that they belong to until it comes, so that a million that wait for later cost nothing:
 * only those of the present millisecond are in a heap.
 */
interface Event {
  readonly time: number
  readonly turn: number
  readonly action: () => void
}

const isBefore = (a: Event, b: Event) => a.time < b.time || (a.time === b.time && a.turn < b.turn)

export class Events {
  readonly #later = new Map<number, Array<Event>>()
  readonly #heap: Array<Event> = []
  #millisecond = 0
  #pending = 0
  #turn = 0
  now = 0
  ran = 0

  at(time: number, action: () => void): void {
    const event: Event = { time, turn: this.#turn++, action }
    this.#pending++
    const millisecond = Math.floor(time)
    if (millisecond <= this.#millisecond) return this.#push(event)
    const others = this.#later.get(millisecond)
    if (others === undefined) this.#later.set(millisecond, [event])
    else others.push(event)
  }

  after(delay: number, action: () => void): void {
    this.at(this.now + delay, action)
  }

  /** Runs all that is due until `end`, or until nothing is left. */
  run(end: number): void {
    while (this.#pending > 0 && this.#millisecond <= end) {
      while (this.#heap.length > 0 && this.#heap[0]!.time <= end) {
        const { action, time } = this.#pop()
        this.#pending--
        this.ran++
        this.now = time
        action()
      }
      this.#millisecond++
      const due = this.#later.get(this.#millisecond)
      if (due === undefined) continue
      this.#later.delete(this.#millisecond)
      for (const event of due) this.#push(event)
    }
    this.now = end
  }

  #push(event: Event): void {
    const heap = this.#heap
    let hole = heap.length
    heap.push(event)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (isBefore(heap[parent]!, event)) break
      heap[hole] = heap[parent]!
      hole = parent
    }
    heap[hole] = event
  }

  #pop(): Event {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let hole = 0
    while (true) {
      const left = 2 * hole + 1
      if (left >= heap.length) break
      const child = left + 1 < heap.length && isBefore(heap[left + 1]!, heap[left]!) ? left + 1 : left
      if (isBefore(last, heap[child]!)) break
      heap[hole] = heap[child]!
      hole = child
    }
    heap[hole] = last
    return first
  }
}
