/**
 * The addresses from which clients come, where thousands of them do.
 *
 * An address has 28,000 ports, half of which Linux prefers, and a connection that has ended keeps its own for a minute. As those become few, the
 * search for a free one takes milliseconds, and a client that opens 10,000 connections stands still meanwhile: so there are many addresses.
 */
export const addressCount = 200

/** The address of a client, by its number. */
export const addressOf = (client: number): string => `127.0.0.${2 + (client % addressCount)}`

/** The last of them. */
export const lastAddress = addressOf(addressCount - 1)
