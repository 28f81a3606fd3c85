/** All limits on queries, in one place. */
export const limits = {
  /** Buckets of one answer. */
  buckets: 2000,
  /** Events that one answer is computed from. */
  events: 5_000_000,
  /** Series of one page of the list. */
  list: 1000
} as const
