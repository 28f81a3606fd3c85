/** All limits on requests of `POST /v1/metrics`, in one place. Those on the events that are made of them are in `../events.ts`. */
export const limits = {
  /** Bytes of a body, as it was sent and once it is decompressed: what the specification recommends, 20 MiB. */
  bodySize: 20 * 2 ** 20,
  /** Events made of one request; the points after those are rejected. A quarter of what may wait for its commit (`Ingest`). */
  events: 25_000,
  /**
   * Data points of one request; those after them are rejected. As many counters are remembered, and what a point of one has changed takes some
   * 500 bytes until it is known whether it is stored.
   */
  points: 200_000,
  /** Buckets of one histogram point. SDKs send 160 at most. */
  buckets: 2048,
  /** Quantiles of one summary point. */
  quantiles: 64,
  /** Objects and lists of one request: points, attributes and their values each count. 20 MiB of usual points have 700,000. */
  messages: 1_000_000,
  /**
   * Values of one request, read or not: in JSON members of objects and elements of lists, in Protocol Buffers elements of lists. 20 MiB of
   * usual points have 1,100,000, and the 25,000 events of histograms with 320 buckets 1,600,000. In memory each takes up to 200 bytes.
   */
  values: 2_000_000,
  /** How deep messages may be nested, as in the decoders of Protocol Buffers. Only attributes nest at all. */
  depth: 100,
  /**
   * Numbers that are remembered of cumulative streams, in a table that forgets the stream that was quiet for longest: 32 MiB, or about 200,000
   * counters, or 100,000 histograms.
   */
  streamNumbers: 4 * 2 ** 20,
  /** Numbers that are remembered of what requests changed in that table, until they are known to be stored or not: 16 MiB. */
  openNumbers: 2 * 2 ** 20,
  /**
   * Tokens a second that each client may have read (`cost.ts`), and twice as many at once: a third of what the reader can do. Not less than
   * the events that a client may send.
   */
  reading: 20_000,
  /** Reasons for rejected points that one answer gives. */
  reasons: 5,
  /** Characters of a name that a message quotes. */
  quoted: 80
} as const
