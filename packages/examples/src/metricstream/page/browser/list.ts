/**
 * The list of series, and the search in it. Its rows are rendered by the server, in one place and escaped there; here their numbers are kept up
 * to date, and the list is fetched again when other series belong in it.
 */
import type { Change, News } from "../../live/figures.ts"
import { toHref } from "../address.ts"
import type { Address } from "../address.ts"
import { formatAge, formatCount, formatValue, sparkline } from "../format.ts"
import { limits } from "../limits.ts"
import { announce } from "./announcer.ts"
import { find, findAll, setText } from "./elements.ts"
import { refusalOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import { merge } from "./row.ts"
import type { Numbers } from "./row.ts"

/** How long after a key the search begins, and the shortest time between two looks for new series, in milliseconds. */
const [searchPause, refreshPause] = [150, 3000]

interface Row extends Numbers {
  readonly name: string
  readonly element: HTMLAnchorElement
}

export interface ListOptions {
  readonly section: HTMLElement
  /** The reader searches. */
  readonly onMatch: (match: string) => void
  /** The reader chose a series. */
  readonly onChoose: (series: string) => void
  /** Other rows are there. */
  readonly onRows: () => void
}

export class SeriesList {
  readonly #options: ListOptions
  readonly #search: HTMLInputElement
  #rows = new Map<string, Row>()
  #address: Address
  #fetching: AbortController | undefined
  #refresh: ReturnType<typeof setTimeout> | undefined

  constructor(options: ListOptions, address: Address) {
    this.#options = options
    this.#address = address
    this.#search = find("input[type=search]", HTMLInputElement, options.section)
    this.#adopt()
    this.#reveal()
    this.#listen()
  }

  /** The first of the list. */
  get first(): string | undefined {
    return this.#rows.values().next().value?.name
  }

  /** The latest value of a series, as it is written in its row. */
  latestOf(series: string): string {
    const row = this.#rows.get(series)
    return row === undefined ? "" : (find(".value", HTMLElement, row.element).textContent ?? "")
  }

  /** Shows what an address says. */
  show(address: Address): void {
    const isOther = address.match !== this.#address.match
    const isChosenAnew = address.series !== this.#address.series
    this.#address = address
    if (this.#search.value !== address.match) this.#search.value = address.match
    this.#mark()
    if (isChosenAnew) this.#reveal()
    if (isOther) void this.fetch().then(() => announce(find("#totals", HTMLElement).textContent ?? ""))
  }

  /** Scrolls the list, and not the page, to the chosen row. */
  #reveal(): void {
    const chosen = this.#rows.get(this.#address.series)?.element
    const rows = find("#rows", HTMLElement)
    if (chosen === undefined) return
    const { offsetHeight, offsetTop } = chosen
    if (offsetTop < rows.scrollTop) rows.scrollTop = offsetTop
    else if (offsetTop + offsetHeight > rows.scrollTop + rows.clientHeight) {
      rows.scrollTop = offsetTop + offsetHeight - rows.clientHeight
    }
  }

  /** Brings the rows up to date. */
  news({ changes, more }: News): void {
    // Where there is no room for more rows, those of other names change nothing.
    let isKnown = !more || this.#isFull
    for (const change of changes) {
      const [name] = change
      const row = this.#rows.get(name)
      if (row !== undefined) update(row, change)
      else if (this.#wouldList(name)) isKnown = false
    }
    if (!isKnown) this.#later()
  }

  get #isFull(): boolean {
    return this.#rows.size >= limits.series
  }

  #wouldList(name: string): boolean {
    if (!name.toLowerCase().includes(this.#address.match.toLowerCase())) return false
    return !this.#isFull || name < [...this.#rows.keys()].at(-1)!
  }

  /** Lets the ages grow. */
  age(now: number): void {
    for (const { element, time } of this.#rows.values()) {
      setText(find(".age", HTMLElement, element), formatAge(time, now))
      element.classList.toggle("stale", now - time > limits.staleAfter)
    }
  }

  /** Fetches the list. */
  async fetch(): Promise<void> {
    this.#fetching?.abort()
    const fetching = new AbortController()
    this.#fetching = fetching
    try {
      const signal = AbortSignal.any([fetching.signal, AbortSignal.timeout(10_000)])
      const response = await fetch(toHref(this.#address), { signal })
      const answer = response.ok ? await response.text() : await refusalOf(response)
      if (fetching.signal.aborted) return
      if (typeof answer === "string") this.#replace(new DOMParser().parseFromString(answer, "text/html"))
      else this.#refused(answer)
    } catch {
      // The server is not there, which the page says already, or has no time.
      if (!fetching.signal.aborted) this.#later()
    } finally {
      if (this.#fetching === fetching) this.#fetching = undefined
    }
  }

  /** Says so, because the rows are those of another search, or old. */
  #refused({ mayPass, pause, words }: Refusal): void {
    setText(find("#totals", HTMLElement), mayPass ? `${words}; trying again…` : words)
    if (mayPass) this.#later(pause)
  }

  #replace(fresh: Document): void {
    const focused =
      document.activeElement instanceof HTMLAnchorElement ? document.activeElement.dataset["name"] : undefined
    const { scrollTop } = find("#rows", HTMLElement)
    for (const id of ["#rows", "#totals"]) find(id, HTMLElement).replaceWith(find(id, HTMLElement, fresh))
    find("#rows", HTMLElement).scrollTop = scrollTop
    this.#adopt()
    this.#options.onRows()
    if (focused !== undefined) this.#rows.get(focused)?.element.focus({ preventScroll: true })
  }

  /** Takes over the rows that the server has rendered. */
  #adopt(): void {
    const elements = findAll("a.row", HTMLAnchorElement, this.#options.section)
    this.#rows = new Map(elements.map((element) => [element.dataset["name"]!, toRow(element)]))
    this.#mark()
  }

  /** Marks the chosen row. It, or the first one, is where the tabulator key stops; the arrow keys go on from there. */
  #mark(): void {
    const { series } = this.#address
    const chosen = this.#rows.get(series) ?? this.#rows.values().next().value
    for (const { element, name } of this.#rows.values()) {
      if (name === series) element.setAttribute("aria-current", "true")
      else element.removeAttribute("aria-current")
      element.tabIndex = element === chosen?.element ? 0 : -1
      element.href = toHref({ ...this.#address, series: name })
    }
  }

  #later(pause: number = 0): void {
    if (this.#refresh !== undefined) return
    this.#refresh = setTimeout(
      () => {
        this.#refresh = undefined
        // An answer that is on its way is waited for, however often series come up meanwhile.
        if (this.#fetching !== undefined) this.#later()
        else if (!document.hidden) void this.fetch()
      },
      Math.max(refreshPause, pause)
    )
  }

  #listen(): void {
    const { onChoose, onMatch, section } = this.#options
    let pending: ReturnType<typeof setTimeout> | undefined
    this.#search.addEventListener("input", () => {
      clearTimeout(pending)
      pending = setTimeout(() => onMatch(this.#search.value), searchPause)
    })
    this.#search.form?.addEventListener("submit", (event) => {
      event.preventDefault()
      clearTimeout(pending)
      onMatch(this.#search.value)
    })
    section.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("a.row") : null
      // With a modifier the reader wants a tab or a window of its own.
      if (!(row instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
        return
      event.preventDefault()
      onChoose(row.dataset["name"]!)
    })
    section.addEventListener("keydown", (event) => this.#move(event))
  }

  /** The arrow keys go from the search to the rows, and from row to row. */
  #move(event: KeyboardEvent): void {
    const elements = [...this.#rows.values()].map(({ element }) => element)
    const at = elements.findIndex((element) => element === document.activeElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: elements.length - 1 }[event.key]
    const isSearching = document.activeElement === this.#search
    if (to === undefined || (isSearching && event.key !== "ArrowDown") || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    if (to < 0) return this.#search.focus()
    elements[to]?.focus()
  }
}

const toRow = (element: HTMLAnchorElement): Row => ({
  name: element.dataset["name"]!,
  element,
  count: Number(element.dataset["count"]),
  time: Number(element.dataset["time"]),
  recent: (element.dataset["recent"] ?? "")
    .split(" ")
    .filter((text) => text !== "")
    .map(Number)
})

const update = (row: Row, change: Change): void => {
  const { element, name, recent } = row
  const isLatest = merge(row, change)
  setText(find(".count", HTMLElement, element), formatCount(row.count))
  if (!isLatest) return
  setText(find(".value", HTMLElement, element), formatValue(name, recent.at(-1)!))
  find(".spark path", SVGElement, element).setAttribute("d", sparkline(recent))
}
