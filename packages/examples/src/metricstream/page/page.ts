/** The page for people: every series with its latest values. Rendered here; a few lines of script fetch it again and swap it in. */
import { createHash } from "node:crypto"
import type { Summary } from "../query/queries.ts"
import { escapeHtml, formatAge, formatValue, sparkline } from "./format.ts"

/** What the page shows at most. */
export const limits = {
  /** Series, by name. */
  series: 500,
  /** Latest values in the line of bars. */
  recent: 30
} as const

export interface Model {
  readonly series: ReadonlyArray<Summary>
  /** The present time in milliseconds since 1970. */
  readonly now: number
  /** Where the browser sees this server. */
  readonly host: string
}

const style = `
:root { color-scheme: light dark; --line: light-dark(#e3e3de, #33383d); --dim: light-dark(#666c72, #98a0a8); --accent: light-dark(#0b6e8a, #62c4dd) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 1.25rem 1rem 3rem; font: 1rem/1.45 system-ui, sans-serif; color: light-dark(#1c2126, #e6e9ec); background: light-dark(#fcfcfa, #15181b) }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; margin-bottom: 1rem }
h1 { font-size: 1.4rem; margin: 0 }
h2 { font-size: 1rem; margin: 2rem 0 .4rem }
p { margin: .3rem 0 }
p, .dim { color: var(--dim) }
a { color: inherit; text-decoration-color: var(--line); text-underline-offset: .2em; overflow-wrap: anywhere }
a:hover { color: var(--accent) }
table { width: 100%; border-collapse: collapse }
th { text-align: left; font-weight: 500; font-size: .85rem; color: var(--dim) }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.value { font-weight: 600 }
.bars { font-family: ui-monospace, monospace; white-space: nowrap; letter-spacing: -.05em; color: var(--accent) }
pre { overflow-x: auto; padding: .75rem; margin: .4rem 0; border: 1px solid var(--line); border-radius: .4rem; font-size: .85rem }
.stale .value, .stale .bars { opacity: .45 }
#lost { color: light-dark(#a03000, #ff9a66) }
@media (max-width: 44rem) {
  thead { display: none }
  tr { display: grid; grid-template-columns: 1fr auto; padding: .45rem 0; border-bottom: 1px solid var(--line) }
  td { border: 0; padding: 0 }
  .bars { grid-area: 2 / 1; overflow: hidden; font-size: .75rem }
  td.value { grid-area: 1 / 2; padding-left: 1rem }
  td.age { grid-area: 2 / 2; font-size: .85rem }
  td.count { display: none }
}
`

const script = `
const refresh = async () => {
  if (document.hidden) return
  let text
  try {
    const response = await fetch(location.href, { signal: AbortSignal.timeout(5000) })
    if (response.ok) text = await response.text()
  } catch {}
  document.getElementById("lost").hidden = text !== undefined
  if (text === undefined) return
  const fresh = new DOMParser().parseFromString(text, "text/html")
  for (const id of ["totals", "series"]) document.getElementById(id).replaceWith(fresh.getElementById(id))
}
const loop = () => refresh().finally(() => setTimeout(loop, 2000))
setTimeout(loop, 2000)
document.addEventListener("visibilitychange", refresh)
`

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Only the style and the script of this file are allowed to be in the page, and only this server to be asked. */
export const headers = {
  "content-security-policy": `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "cache-control": "no-store"
}

/** A series whose latest event is older than this is shown faded. */
const staleAfter = 60_000

const row = ({ count, lastTimestamp, lastValue, name, recent }: Summary, now: number): string =>
  `<tr${now - lastTimestamp > staleAfter ? ' class="stale"' : ""}>
<td><a href="/series/${escapeHtml(encodeURIComponent(name))}">${escapeHtml(name)}</a></td>
<td class="bars" aria-hidden="true">${sparkline(recent)}</td>
<td class="number value">${escapeHtml(formatValue(name, lastValue))}</td>
<td class="number age dim">${formatAge(lastTimestamp, now)}</td>
<td class="number count dim">${count.toLocaleString("en-US")}</td>
</tr>`

const table = ({ now, series }: Model): string =>
  series.length === 0
    ? `<p id="series">No events yet.</p>`
    : `<table id="series">
<thead><tr><th>Series</th><th>Last ${limits.recent} values</th><th class="number">Latest</th><th class="number">When</th><th class="number">Events</th></tr></thead>
<tbody>
${series.map((summary) => row(summary, now)).join("\n")}
</tbody>
</table>`

const totals = ({ series }: Model): string => {
  const events = series.reduce((sum, { count }) => sum + count, 0)
  const many = series.length === limits.series ? `the first ${limits.series}` : series.length
  return `<span id="totals" class="dim">${many} series, ${events.toLocaleString("en-US")} events</span>`
}

/** Renders the page. Everything that came from a client is escaped. */
export const render = (model: Model): string => {
  const origin = `http://${model.host}`
  const example = `curl -H 'content-type: application/json' -d '{"name":"room.temperature_celsius","value":21.5}' ${origin}/events`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MetricStream</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>MetricStream</h1>
${totals(model)}
<span id="lost" role="status" hidden>No answer from the server; trying again.</span>
</header>
<main>
${table(model)}
</main>
<h2>Send your own</h2>
<pre><code>${escapeHtml(example)}</code></pre>
<p>One event, an array of events, or lines of events as <code>application/x-ndjson</code>. An event has a <code>name</code>, a numeric
<code>value</code>, and if you like a <code>timestamp</code> in milliseconds and <code>tags</code>. 202 means that it is on the disk.</p>
<h2>Ask</h2>
<p><a href="/series">/series</a> lists all; <code>/series/NAME?from=-1h&amp;step=1m&amp;agg=avg,p99</code> aggregates one.</p>
<script>${script}</script>
</body>
</html>
`
}
