/**
 * Why an answer is not what was asked for, in words for the reader. What this server refuses it explains in a problem details object of RFC
 * 9457; from what may stand before it there can come anything.
 */

export interface Refusal {
  readonly status: number
  /** A sentence without its stop. */
  readonly words: string
  /** Milliseconds after which to come back, 0 if it does not say. */
  readonly pause: number
  /** Whether the same question may be answered later. */
  readonly mayPass: boolean
}

/** What statuses mean that come without words. */
const meanings: Readonly<Record<number, string>> = {
  429: "Too many requests from here",
  502: "Nothing answers behind the proxy",
  503: "The server takes no requests at present",
  504: "The server did not answer the proxy in time"
}

/** Characters of what is shown at most: what is longer was not written for this line. */
const maxLength = 160

/** Reads why an answer was refused. Fails if the rest of it does not come. */
export const refusalOf = async (response: Response): Promise<Refusal> => {
  const { headers, status } = response
  const words = (await wordsOf(response)) ?? meanings[status] ?? `The server answers with status ${status}`
  return {
    status,
    words,
    // Ours says it in seconds.
    pause: (Number(headers.get("retry-after")) || 0) * 1000,
    mayPass: status === 408 || status === 429 || status >= 500
  }
}

const wordsOf = async (response: Response): Promise<string | undefined> => {
  if (!/^application\/problem\+json\b/i.test(response.headers.get("content-type") ?? "")) {
    // A page of a proxy, which says nothing to our reader.
    await response.body?.cancel()
    return undefined
  }
  const { detail, title } = membersOf(await response.text())
  const said = [detail, title].find((text) => typeof text === "string" && text.trim() !== "")
  return typeof said === "string" ? toSentence(said.trim()) : undefined
}

const membersOf = (text: string): { readonly detail?: unknown; readonly title?: unknown } => {
  try {
    return (JSON.parse(text) as object | null) ?? {}
  } catch {
    return {}
  }
}

/** That it is worth another try is for who reads the answer, which is the page: it tries, and says so. */
const toSentence = (text: string): string => {
  const sentence = (text.charAt(0).toUpperCase() + text.slice(1)).replace(/; try again\b.*/, "")
  return sentence.length > maxLength ? `${sentence.slice(0, maxLength - 1)}…` : sentence
}
