/**
 * What the load generator is asked for and what it reports.
 *
 * Its clients do not wait for each other: requests become due at random times (Poisson), whatever became of those before. A client whose
 * patience is over closes its connection. All that it had sent is still in the server's kernel then, and a server that does not look learns of
 * it only when it answers.
 */

/**
 * `kept`: a request takes a connection that is idle, or opens one, as the pool of a proxy does; only the requests that time out cost one.
 * `own`: each request has a connection of its own, as if each came from somebody else. That is much harder: node accepts one connection in a
 * turn of its event loop, so that a server that runs a handler in each turn accepts as slowly as it runs handlers, the kernel's backlog (511)
 * becomes its queue, and those at its head have long gone.
 */
export type Clients = "kept" | "own"

interface Common {
  readonly name: string
  readonly path: string
  /** In seconds from the start. */
  readonly after?: number
  /** How long requests become due. */
  readonly seconds: number
  /** Seconds at its beginning, or all, that are not measured: connections open, queues fill, patience ends for the first time. */
  readonly warmUp: number
  readonly connections: number
  readonly clients: Clients
}

/** A part of a stream. */
export interface Part {
  readonly name: string
  /** Of all requests. */
  readonly share: number
  readonly headers: Readonly<Record<string, string>>
}

/** Requests become due independently of each other, at so many a second on average, whatever becomes of them. */
export interface OpenStream extends Common {
  readonly kind: "open"
  readonly rate: number
  readonly seed: number
  readonly patienceMillis: number
  readonly headers?: Readonly<Record<string, string>>
  /** Instead of one kind of requests several, at random, on the same connections. Each has a report of its own. */
  readonly mix?: ReadonlyArray<Part>
  /** Whether to count tenths of a second each for itself. */
  readonly bins?: boolean
}

/** Each connection sends its next request when it has its answer. */
export interface ClosedStream extends Common {
  readonly kind: "closed"
}

export type Stream = OpenStream | ClosedStream

export interface Bin {
  offered: number
  useful: number
}

export interface StreamReport {
  readonly name: string
  /** Answers 200 within the patience, for each second of the measured part, by when they came. */
  readonly goodput: number
  /** Counts of the whole run. */
  readonly offered: number
  readonly refused: number
  /** Of a part of a mixed stream: all that were not answered. */
  readonly timedOut: number
  /** The server closed the connection without an answer, or did not let it open. */
  readonly broken: number
  readonly statuses: Readonly<Record<string, number>>
  /** Requests that found no free connection when they were due. */
  readonly late: number
  /** How late the generator itself was. */
  readonly lagMillis: { readonly p50: number; readonly p99: number; readonly max: number; readonly stall: number }
  /** Of answers 200 in the measured part; `null` if there were none. */
  readonly latencyMillis: { readonly p50: number; readonly p99: number; readonly max: number } | null
  /** Tenths of a second. */
  readonly bins?: ReadonlyArray<Bin>
}

export interface LoadReport {
  /** Those that are measured, in the order in which they were asked for; of a mixed stream each part. */
  readonly streams: ReadonlyArray<StreamReport>
  /** CPU time of the generator, its start included. */
  readonly cpuSeconds: number
}
