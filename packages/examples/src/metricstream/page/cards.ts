/** The charts of the server itself: shared by the server, which renders their frames, and by the browser, which draws them. */
import type { Figure } from "../live/figures.ts"

/** One line of a chart. */
export interface Line {
  readonly figure: Figure
  readonly label: string
  /** Its colour: a custom property of the style sheet, and a class. */
  readonly color: Color
}

export type Color = "main" | "second" | "third" | "bad"

/** A chart of the server. */
export interface Card {
  readonly id: string
  readonly title: string
  /** What its figures are, for those who see it for the first time. */
  readonly about: string
  /** How its values are formatted: the ending of a series' name. */
  readonly unit: string
  readonly lines: ReadonlyArray<Line>
}

export const cards: ReadonlyArray<Card> = [
  {
    id: "ingest",
    title: "Events stored",
    about: "Events a second that are on the disk",
    unit: "_per_second",
    lines: [{ figure: "stored", label: "stored", color: "main" }]
  },
  {
    id: "requests",
    title: "Requests",
    about: "Requests a second: answered, refused with 429 or 503, failed with another 5xx",
    unit: "_per_second",
    lines: [
      { figure: "answered", label: "answered", color: "main" },
      { figure: "refused", label: "refused", color: "second" },
      { figure: "failed", label: "failed", color: "bad" }
    ]
  },
  {
    id: "latency",
    title: "Request latency",
    about:
      "From the arrival of the head to the end of the response, of the requests of each second that were not refused; estimated from a histogram, evenly within each of its buckets",
    unit: "_seconds",
    lines: [
      { figure: "p50", label: "p50", color: "main" },
      { figure: "p99", label: "p99", color: "second" }
    ]
  },
  {
    id: "queues",
    title: "Queues",
    about: "Requests that wait at the door, and events that wait for their commit",
    unit: "",
    lines: [
      { figure: "queued", label: "at the door", color: "main" },
      { figure: "pending", label: "events pending", color: "second" }
    ]
  },
  {
    id: "loop",
    title: "Event-loop delay",
    about: "How late the event loop came to its timers",
    unit: "_seconds",
    lines: [
      { figure: "loopP50", label: "p50", color: "main" },
      { figure: "loopP99", label: "p99", color: "second" }
    ]
  },
  {
    id: "workers",
    title: "Offload workers",
    about: "Worker threads that are busy, and tasks that wait for one",
    unit: "",
    lines: [
      { figure: "busy", label: "busy", color: "main" },
      { figure: "waiting", label: "tasks waiting", color: "second" }
    ]
  }
]
