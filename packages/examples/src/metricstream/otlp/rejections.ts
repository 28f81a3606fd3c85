/** Counts the points that are not stored, and says why. */
import { limits } from "./limits.ts"

/** A name as a message shows it. */
export const quote = (name: string): string =>
  JSON.stringify(name.length <= limits.quoted ? name : `${name.slice(0, limits.quoted)}…`.toWellFormed())

export class Rejections {
  readonly #reasons = new Map<string, { count: number; readonly first: string }>()
  #count = 0

  get count(): number {
    return this.#count
  }

  add(metric: string, reason: string, count: number = 1): void {
    this.#count += count
    const known = this.#reasons.get(reason)
    if (known === undefined) this.#reasons.set(reason, { count, first: metric })
    else known.count += count
  }

  /** For people: `2 of 9 data points were rejected: 2 because … (first of "a.b")`. Empty if none were. */
  message(points: number): string {
    if (this.#count === 0) return ""
    const reasons = [...this.#reasons].toSorted(([, a], [, b]) => b.count - a.count)
    const shown = reasons
      .slice(0, limits.reasons)
      .map(([reason, { count, first }]) => `${count} because ${reason} (first of ${quote(first)})`)
    const more = reasons.length > shown.length ? ", and others" : ""
    return `${this.#count} of ${points} data points were rejected: ${shown.join(", ")}${more}`
  }
}
