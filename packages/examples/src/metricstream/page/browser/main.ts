/** The live page. What it shows is in its address: the chosen series, the range, the search. */
import type { Hello, News, Point, Tail } from "../../live/figures.ts"
import { bucketsOf, parseAddress, toHref } from "../address.ts"
import type { Address } from "../address.ts"
import { Connection } from "./connection.ts"
import type { State } from "./connection.ts"
import { find, findAll, setText } from "./elements.ts"
import { Explorer } from "./explorer.ts"
import { SeriesList } from "./list.ts"
import { Overview } from "./overview.ts"
import { onThemeChange } from "./theme.ts"
import { reloadsFor } from "./version.ts"

const texts: Readonly<Record<Exclude<State, "refused">, string>> = {
  connecting: "Connecting…",
  live: "Live",
  restarting: "The server is restarting…",
  lost: "No answer; trying again…",
  stopped: "Paused"
}

const { keep, version } = document.documentElement.dataset
const status = find("#status", HTMLElement)
const outdated = find("#outdated", HTMLElement)
const pauseButton = find("#pause", HTMLButtonElement)
let address = parseAddress(new URLSearchParams(location.search))
let isPaused = false
/** There was a time without a connection. */
let isBehind = false
/** How far the server's clock is ahead of ours, in milliseconds. */
let ahead = 0
const now = (): number => Date.now() + ahead

const overview = new Overview(find("#server", HTMLElement))
const explorer = new Explorer({
  section: find("#chosen", HTMLElement),
  now,
  keep: Number(keep),
  onZoom: (zoom) => go({ ...address, zoom })
})
const list = new SeriesList(
  {
    section: find("#list", HTMLElement),
    onMatch: (match) => go({ ...address, match }, "replace"),
    onChoose: (series) => go({ ...address, series, zoom: undefined }),
    onRows: () => chooseFirst()
  },
  address
)

const connection = new Connection({
  onState: (state, words) => {
    status.dataset["state"] = state
    setText(status, state === "refused" ? `${words}; trying again…` : texts[state])
    if (state !== "live" && state !== "connecting") isBehind = true
  },
  onEvent: (event, data) => {
    if (event === "hello") greet(data as Hello)
    else if (event === "points") overview.add(data as ReadonlyArray<Point>)
    else if (event === "news") hear(data as News)
    else if (event === "tail") explorer.tail(data as Tail)
    else if (event === "resync") catchUp()
  }
})

const greet = (hello: Hello): void => {
  const isOther = hello.version !== version
  if (isOther && reloadsFor(hello.version, () => sessionStorage)) return location.reload()
  outdated.hidden = !isOther
  ahead = hello.now - Date.now()
  overview.greet(hello)
  if (isBehind) catchUp()
  isBehind = false
}

const hear = (news: News): void => {
  list.news(news)
  for (const change of news.changes) explorer.news(change)
}

/** Asks for what no news came of meanwhile. */
const catchUp = (): void => {
  void list.fetch()
  explorer.refresh()
}

/** The stream, with the series that is watched as it changes. */
const streamUrl = (): string => {
  const { series, zoom } = address
  if (series === "" || zoom !== undefined) return "/live"
  const { step } = bucketsOf(address, now())
  return `/live?${new URLSearchParams({ series, step: `${step}` })}`
}

/** Nobody sees a page that is hidden: it costs the server nothing. What it missed it is sent when it comes back. */
const connect = (): void => {
  if (isPaused || document.hidden) connection.stop()
  else connection.start(streamUrl())
}

const show = (): void => {
  document.title = address.series === "" ? "MetricStream" : `${address.series} · MetricStream`
  for (const link of findAll("a[data-range]", HTMLAnchorElement)) {
    const range = link.dataset["range"] as Address["range"]
    link.href = toHref({ ...address, range, zoom: undefined })
    if (range === address.range && address.zoom === undefined) link.setAttribute("aria-current", "true")
    else link.removeAttribute("aria-current")
  }
  list.show(address)
  explorer.show(address, list.latestOf(address.series))
  connect()
}

const go = (to: Address, how: "push" | "replace" = "push"): void => {
  const href = toHref(to)
  if (href === toHref(address)) return
  address = to
  if (how === "push") history.pushState(null, "", href)
  else history.replaceState(null, "", href)
  show()
}

/** Where nothing is chosen the first series is shown: better than nothing. The address does not say so. */
const chooseFirst = (): void => {
  if (address.series !== "" || list.first === undefined) return
  address = { ...address, series: list.first }
  show()
}

find("#chosen nav", HTMLElement).addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-range]") : null
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  go({ ...address, range: link.dataset["range"] as Address["range"], zoom: undefined })
})
pauseButton.addEventListener("click", () => {
  isPaused = !isPaused
  pauseButton.setAttribute("aria-pressed", String(isPaused))
  connect()
})
find("button", HTMLButtonElement, outdated).addEventListener("click", () => location.reload())
document.addEventListener("visibilitychange", connect)
addEventListener("popstate", () => {
  address = parseAddress(new URLSearchParams(location.search))
  show()
  chooseFirst()
})
// A page that was kept while another was looked at, and is shown again.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) connect()
})
addEventListener("pagehide", () => connection.stop())
onThemeChange(() => overview.draw())
const isWatched = (): boolean => !isPaused && !document.hidden
setInterval(() => {
  if (!isWatched()) return
  list.age(now())
  explorer.draw()
}, 1000)
// What was stored in the moment between two connections, no news told of.
setInterval(() => {
  if (isWatched()) void list.fetch()
}, 60_000)

show()
chooseFirst()
