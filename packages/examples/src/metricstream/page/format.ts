/** How numbers and times look on the page. */

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Makes text safe to stand in an element or in a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character]!)

/** Escapes the name of a series, which may then break where one of its parts ends. */
export const breakName = (name: string): string => escapeHtml(name).replace(/[_.\-/:](?=\w)/g, "$&<wbr>")

/** The size of a sparkline, in the units of its path. */
export const spark = { width: 120, height: 20 } as const

/** Draws values as the path of an SVG: a line from the least, at the bottom, to the greatest, at the top. */
export const sparkline = (values: Iterable<number>): string => {
  const all = [...values]
  // Halved, because the span of two finite numbers need not be finite.
  const least = Math.min(...all) / 2
  const span = Math.max(...all) / 2 - least
  const inner = spark.height - 2
  const x = (index: number) => Math.round((index / Math.max(1, all.length - 1)) * spark.width)
  const y = (value: number) =>
    Math.round((1 + inner - (span === 0 ? 0.5 : (value / 2 - least) / span) * inner) * 10) / 10
  return all.map((value, index) => `${index === 0 ? "M" : "L"}${x(index)} ${y(value)}`).join("")
}

const binaryPrefixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi"]

const short = (value: number): string => {
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude >= 1e15 || magnitude < 1e-4)) return value.toExponential(2)
  return value.toLocaleString("en-US", {
    maximumSignificantDigits: magnitude >= 1000 ? 15 : 4,
    maximumFractionDigits: 4
  })
}

const bytes = (value: number): string => {
  const magnitude = Math.abs(value)
  const power = magnitude < 1 ? 0 : Math.min(binaryPrefixes.length - 1, Math.floor(Math.log2(magnitude) / 10))
  return `${short(Number((value / 1024 ** power).toPrecision(4)))} ${binaryPrefixes[power]}B`
}

const perSecond = (value: number): string => `${short(Number(value.toPrecision(4)))}/s`

const seconds = (value: number): string => {
  const magnitude = Math.abs(value)
  if (magnitude >= 1 || magnitude === 0) return `${short(Number(value.toPrecision(4)))} s`
  return magnitude >= 1e-3
    ? `${short(Number((value * 1e3).toPrecision(3)))} ms`
    : `${short(Number((value * 1e6).toPrecision(3)))} µs`
}

/** The units, by how the name of a series ends, as is the custom of Prometheus. */
const units: ReadonlyArray<readonly [ending: string, format: (value: number) => string]> = [
  ["_bytes_per_second", (value) => `${bytes(value)}/s`],
  ["_per_second", perSecond],
  ["_bytes", bytes],
  ["_percent", (value) => `${short(Number(value.toFixed(1)))} %`],
  ["_seconds", seconds],
  ["_celsius", (value) => `${short(value)} °C`]
]

/** A value with its unit. */
export const formatValue = (name: string, value: number): string =>
  (units.find(([ending]) => name.endsWith(ending))?.[1] ?? short)(value)

/** A number of events. */
export const formatCount = (count: number): string =>
  `${count.toLocaleString("en-US")} ${count === 1 ? "event" : "events"}`

/** How long ago something was: "now", "12 s ago". Times to come are given as such. */
export const formatAge = (timestamp: number, now: number): string => {
  const seconds = Math.round((now - timestamp) / 1000)
  if (Math.abs(seconds) < 2) return "now"
  const size = Math.abs(seconds)
  const text =
    size < 120
      ? `${size} s`
      : size < 7200
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} d`
  return seconds < 0 ? `in ${text}` : `${text} ago`
}
