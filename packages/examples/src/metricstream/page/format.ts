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

const bars = "▁▂▃▄▅▆▇█"

/** Draws values as a line of bars, the least as the lowest and the greatest as the highest. */
export const sparkline = (values: Iterable<number>): string => {
  const all = [...values]
  // Halved, because the span of two finite numbers need not be finite.
  const least = Math.min(...all) / 2
  const span = Math.max(...all) / 2 - least
  const share = (value: number) => (span === 0 ? 0 : (value / 2 - least) / span)
  return all.map((value) => bars[Math.min(bars.length - 1, Math.floor(share(value) * bars.length))]).join("")
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

/** The units, by how the name of a series ends, as is the custom of Prometheus. */
const units: ReadonlyArray<readonly [ending: string, format: (value: number) => string]> = [
  ["_bytes_per_second", (value) => `${bytes(value)}/s`],
  ["_bytes", bytes],
  ["_percent", (value) => `${short(Number(value.toFixed(1)))} %`],
  ["_seconds", (value) => `${short(value)} s`],
  ["_celsius", (value) => `${short(value)} °C`]
]

/** A value with its unit. */
export const formatValue = (name: string, value: number): string =>
  (units.find(([ending]) => name.endsWith(ending))?.[1] ?? short)(value)

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
