/** What to do where the server is of another version than the page: what the page understands of it may be wrong. */

const key = "metricstream.reloadedFor"

/**
 * Whether to load the page again for a server of this version: once for each, for as long as the tab is open. Two versions behind one
 * balancer would else have it load for ever, since what answers next may be the other one each time.
 */
export const reloadsFor = (version: string, storage: () => Pick<Storage, "getItem" | "setItem">): boolean => {
  try {
    const kept = storage()
    const earlier = (kept.getItem(key) ?? "").split(" ")
    if (earlier.includes(version)) return false
    kept.setItem(key, [...earlier, version].join(" ").trim())
    return true
  } catch {
    // The browser lets nothing be remembered here, and what is not remembered has no end.
    return false
  }
}
