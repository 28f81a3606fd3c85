/** The text of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. */

/** An event. `data` is JSON already if it is a string; JSON has no line breaks in it. `id` is what the viewer comes back with. */
export const encodeEvent = (event: string, data: unknown, id?: number): string => {
  const text = typeof data === "string" ? data : JSON.stringify(data)
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${text}\n\n`
}

/** How long a browser's `EventSource` waits before it connects again. */
export const retry = (millis: number): string => `retry: ${millis}\n\n`

/** What keeps a connection from looking dead to what stands between. */
export const heartbeat = ": there is nothing new\n\n"
