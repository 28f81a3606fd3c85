/** Reads the text of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. */

export interface ServerEvent {
  readonly event: string
  readonly data: string
  /** The last id that was sent, with this event or before it. */
  readonly id: string
}

/** Takes text in pieces of any size, and gives each event once it is whole. What comes of a piece: nothing, one event, or many. */
export class EventParser {
  #rest = ""
  #event = ""
  #data: Array<string> = []
  #id = ""

  feed(piece: string): ReadonlyArray<ServerEvent> {
    const events: Array<ServerEvent> = []
    const text = this.#rest + piece
    // A line break at the very end may be the first half of one.
    const whole = text.endsWith("\r") ? text.length - 1 : text.length
    let start = 0
    for (const { 0: ending, index } of text.slice(0, whole).matchAll(/\r\n|\r|\n/g)) {
      this.#line(text.slice(start, index), events)
      start = index + ending.length
    }
    this.#rest = text.slice(start)
    return events
  }

  #line(line: string, events: Array<ServerEvent>): void {
    if (line === "") return this.#dispatch(events)
    const colon = line.indexOf(":")
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    if (field === "event") this.#event = value
    else if (field === "data") this.#data.push(value)
    else if (field === "id" && !value.includes("\0")) this.#id = value
  }

  #dispatch(events: Array<ServerEvent>): void {
    if (this.#data.length > 0) events.push({ event: this.#event, data: this.#data.join("\n"), id: this.#id })
    this.#event = ""
    this.#data = []
  }
}
