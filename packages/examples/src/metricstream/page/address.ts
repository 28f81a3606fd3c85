/** What the address of the page says: the chosen series, the range of time, and the search. So a view can be shared, and gone back to. */

/** The ranges to choose from, with the buckets that each is cut into, in milliseconds. */
export const ranges = [
  { name: "15m", title: "15 min", millis: 900_000, step: 5000 },
  { name: "1h", title: "1 h", millis: 3_600_000, step: 15_000 },
  { name: "6h", title: "6 h", millis: 21_600_000, step: 90_000 },
  { name: "1d", title: "1 d", millis: 86_400_000, step: 300_000 },
  { name: "7d", title: "7 d", millis: 604_800_000, step: 1_800_000 },
  { name: "30d", title: "30 d", millis: 2_592_000_000, step: 7_200_000 }
] as const

export type Range = (typeof ranges)[number]
export type RangeName = Range["name"]

export interface Address {
  /** The chosen series, empty for none. */
  readonly series: string
  /** The range that ends now. */
  readonly range: RangeName
  /** A part that was zoomed into, in milliseconds since 1970. */
  readonly zoom: Zoom | undefined
  /** What the names in the list contain. */
  readonly match: string
}

export interface Zoom {
  readonly from: number
  readonly to: number
}

/** The shortest time that can be zoomed into, in milliseconds. */
export const minZoom = 1000

/**
 * What can be seen of a part of time, around the same centre if it may be: neither too short, nor before 1970 or what is kept, for `keep`
 * milliseconds, nor yet to come.
 */
export const toZoom = ({ from, to }: Zoom, now: number, keep: number): Zoom => {
  const first = Math.max(0, now - keep)
  const span = Math.max(minZoom, Math.min(now - first, to - from))
  const end = Math.min(now, Math.max(first + span, (from + to + span) / 2))
  return { from: Math.round(end - span), to: Math.round(end) }
}

export const rangeOf = ({ range }: Address): Range => ranges.find(({ name }) => name === range)!

const wholeNumber = (text: string | null): number | undefined =>
  text !== null && /^\d{1,14}$/.test(text) ? Number(text) : undefined

/** Reads the query of an address. What makes no sense is left out: it may have been typed. */
export const parseAddress = (query: URLSearchParams): Address => {
  const range = query.get("range")
  const from = wholeNumber(query.get("from"))
  const to = wholeNumber(query.get("to"))
  return {
    series: query.get("series") ?? "",
    range: ranges.find(({ name }) => name === range)?.name ?? "15m",
    zoom: from !== undefined && to !== undefined && to - from >= minZoom ? { from, to } : undefined,
    match: query.get("match") ?? ""
  }
}

/** The address of the page that says so. */
export const toHref = ({ match, range, series, zoom }: Address): string => {
  const query = new URLSearchParams()
  if (series !== "") query.set("series", series)
  if (range !== "15m") query.set("range", range)
  if (zoom !== undefined) {
    query.set("from", String(zoom.from))
    query.set("to", String(zoom.to))
  }
  if (match !== "") query.set("match", match)
  const text = query.toString()
  return text === "" ? "/" : `/?${text}`
}

/** The lengths of buckets that people can read a time from, in milliseconds. */
const niceSteps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000
]

/** How many buckets a part that was zoomed into has at most. */
const zoomBuckets = 300

/** Where more time is seen, buckets are so many weeks long that there are no more of them. */
const longStep = (span: number): number => Math.ceil(span / zoomBuckets / week) * week

const week = 7 * 86_400_000

/** The buckets to ask for, on whole multiples of their length, so that the same bucket is always the same. */
export const bucketsOf = (address: Address, now: number): { from: number; to: number; step: number } => {
  const { zoom } = address
  const { millis, step: usual } = rangeOf(address)
  const span = zoom === undefined ? millis : zoom.to - zoom.from
  const step = zoom === undefined ? usual : (niceSteps.find((step) => span / step <= zoomBuckets) ?? longStep(span))
  const from = zoom?.from ?? now - millis
  const to = zoom?.to ?? now
  return { from: from - (from % step), to: to - (to % step) + step, step }
}
