/** The numbers that both sides of the page go by: the server, which renders it, and the browser, which keeps it up to date. */
export const limits = {
  /** How many series the list shows at most, by name. The search finds the others. */
  series: 200,
  /** Latest values in a sparkline. */
  recent: 30,
  /** A series whose latest event is older than this is shown faded, in milliseconds. */
  staleAfter: 60_000
} as const
