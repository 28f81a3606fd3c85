/** All limits on queries, in one place. */
export const limits = {
  /** Threads that read. */
  workers: 2,
  /** Queries of each kind that wait for one. */
  queued: 64,
  /** Buckets of one answer. */
  buckets: 2000,
  /** Events that one answer is computed from. */
  events: 5_000_000,
  /** Series of one page of the list. */
  list: 1000
} as const
