/**
 * The page for people: the server's own figures, and every series with its percentiles.
 *
 * What is known when it is asked for is rendered here, so that it can be read before any script has run, and nothing moves when one has. The
 * charts are drawn by the browser (`browser/`).
 */
import { createHash } from "node:crypto"
import type { Summary } from "../query/queries.ts"
import { ranges, rangeOf, toHref } from "./address.ts"
import type { Address } from "./address.ts"
import { chartLibrary, icon, mainScript, scriptsOf, styles, toPath } from "./assets.ts"
import type { Assets } from "./assets.ts"
import { cards } from "./cards.ts"
import type { Card } from "./cards.ts"
import { breakName, escapeHtml, formatAge, formatCount, formatValue, spark, sparkline } from "./format.ts"
import { limits } from "./limits.ts"

export interface Model {
  readonly assets: Assets
  readonly address: Address
  /** Those that match what the address says. */
  readonly series: ReadonlyArray<Summary>
  /** The present time in milliseconds since 1970. */
  readonly now: number
  /** How long events are kept, in milliseconds, or `Infinity`. */
  readonly keep: number
  /** Where the browser sees this server. */
  readonly host: string
}

/** A page of which a part did not come, since the server had too much to do, is loaded again after 3 to 8 s. No part of it could do that but the page itself. */
const loadWhole = `let again
addEventListener("error", ({ target }) => {
  if (!(target instanceof HTMLScriptElement) && target.rel !== "stylesheet") return
  again ??= setTimeout(() => location.reload(), 3000 + 5000 * Math.random())
  const say = () => {
    const status = document.querySelector("#status")
    status.dataset.state = "lost"
    status.textContent = "A part of the page did not come; trying again…"
  }
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", say)
  else say()
}, true)`

/** What lets the browser find uPlot by its name. */
const importMap = (assets: Assets): string => JSON.stringify({ imports: { uplot: toPath(assets, chartLibrary) } })

const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Nothing is allowed in the page but what comes from this server, and no script or style in it but the two above. */
export const headers = (assets: Assets) => ({
  "content-security-policy": [
    "default-src 'none'",
    "style-src 'self'",
    `script-src 'self' ${hash(loadWhole)} ${hash(importMap(assets))}`,
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'"
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cache-control": "no-store"
})

const row = ({ count, lastTimestamp, lastValue, name, recent }: Summary, { address, now }: Model): string => {
  const attributes = [
    `class="row${now - lastTimestamp > limits.staleAfter ? " stale" : ""}"`,
    `href="${escapeHtml(toHref({ ...address, series: name, zoom: undefined }))}"`,
    `data-name="${escapeHtml(name)}"`,
    `data-count="${count}"`,
    `data-time="${lastTimestamp}"`,
    `data-recent="${Array.from(recent, (value) => Number(value.toPrecision(4))).join(" ")}"`,
    ...(name === address.series ? ['aria-current="true"'] : [])
  ]
  return `<li><a ${attributes.join(" ")}>
<span class="line"><span class="name">${breakName(name)}</span> <span class="value">${escapeHtml(formatValue(name, lastValue))}</span></span>
<span class="line"><svg class="spark" viewBox="0 0 ${spark.width} ${spark.height}" preserveAspectRatio="none" aria-hidden="true"><path d="${sparkline(recent)}"/></svg> <span class="facts"><span class="age">${formatAge(lastTimestamp, now)}</span> · <span class="count">${formatCount(count)}</span></span></span>
</a></li>`
}

const rows = (model: Model): string => {
  const { address, series } = model
  if (series.length > 0) return `<ul id="rows">${series.map((summary) => row(summary, model)).join("\n")}</ul>`
  return `<ul id="rows"><li class="none">${address.match === "" ? "No events yet. Send some: see below." : "No series matches."}</li></ul>`
}

const totals = ({ address, series }: Model): string => {
  const many = series.length === limits.series ? `the first ${limits.series}` : series.length
  const kind = address.match === "" ? "series" : "series match"
  return `<p id="totals">${many} ${kind}${series.length === limits.series ? ": search for others" : ""}</p>`
}

const legend = ({ lines }: Card): string =>
  lines
    .map(
      ({ color, figure, label }) =>
        `<li><i class="swatch ${color}"></i>${label} <b class="figure" data-figure="${figure}">–</b></li>`
    )
    .join("")

/** Reads and zooms by keyboard: an application, whose keys a screen reader leaves to it. */
const plot = (label: string, about: string = ""): string =>
  `<div class="plot" tabindex="0" role="application" aria-roledescription="chart" aria-label="${escapeHtml(label)}" aria-describedby="${about}keys"></div>`

const card = (card: Card): string => `<figure class="card" id="card-${card.id}">
<figcaption><h3 title="${card.about}">${card.title}</h3><span class="at"></span></figcaption>
<p class="unseen" id="about-${card.id}">${card.about}</p>
<ul class="legend">${legend(card)}</ul>
${plot(`${card.title}: waiting for the first values`, `about-${card.id} `)}
</figure>`

const toolbar = `<div class="tools" role="group" aria-label="Zoom">
<button type="button" data-action="zoom-in" aria-label="Zoom in" title="Zoom in (+)">+</button><button type="button" data-action="zoom-out" aria-label="Zoom out" title="Zoom out (-)">−</button><button type="button" data-action="reset" aria-disabled="true" title="Back to the present (Esc)">Reset</button>
</div>`

const spans = [
  [60_000, "1 min"],
  [300_000, "5 min"],
  [900_000, "15 min"]
] as const

const spanChoice = spans
  .map(
    ([millis, title]) =>
      `<label><input type="radio" name="span" value="${millis}"${millis === 300_000 ? " checked" : ""}><span>${title}</span></label>`
  )
  .join("")

const server = `<section id="server" aria-labelledby="server-title">
<header><h2 id="server-title">This server</h2>
<fieldset class="choice"><legend class="unseen">Time shown</legend>${spanChoice}</fieldset>
${toolbar}</header>
<div class="cards">${cards.map(card).join("\n")}</div>
</section>`

const percentiles = [
  ["p50", "main"],
  ["p90", "third"],
  ["p99", "second"]
] as const

const facts = ["min", "avg", "max", "count"] as const

const chosen = ({
  address
}: Model): string => `<section id="chosen" aria-labelledby="chosen-title"${address.series === "" ? " hidden" : ""}>
<header><h2 id="chosen-title">${breakName(address.series)}</h2><b id="latest"></b>
<nav class="choice" aria-label="Range">${ranges
  .map((range) => {
    const isCurrent = range === rangeOf(address) && address.zoom === undefined
    const href = escapeHtml(toHref({ ...address, range: range.name, zoom: undefined }))
    return `<a href="${href}" data-range="${range.name}"${isCurrent ? ' aria-current="true"' : ""}><span>${range.title}</span></a>`
  })
  .join("")}</nav>
${toolbar}</header>
<figure class="card">
<figcaption>
<ul class="legend">${percentiles
  .map(([name, color]) => `<li><i class="swatch ${color}"></i>${name} <b class="figure" data-of="${name}">–</b></li>`)
  .join("")}<li><i class="swatch band"></i>min–max</li></ul><span class="at"></span></figcaption>
<ul class="legend">${facts.map((name) => `<li>${name} <b class="figure" data-of="${name}">–</b></li>`).join("")}</ul>
${plot(address.series)}
<p class="note" role="status"></p>
</figure>
</section>`

const list = (model: Model): string => `<section id="list" aria-labelledby="list-title">
<header><h2 id="list-title">Series</h2>${totals(model)}</header>
<form role="search" action="/"><input type="search" name="match" value="${escapeHtml(model.address.match)}" placeholder="Search by name" aria-label="Search series by name" maxlength="255" autocomplete="off" spellcheck="false"></form>
${rows(model)}
</section>`

const help = ({ host }: Model): string => {
  const example = `curl -H 'content-type: application/json' -d '{"name":"room.temperature_celsius","value":21.5}' http://${host}/events`
  return `<section id="help" aria-labelledby="help-title">
<h2 id="help-title">Send your own</h2>
<pre tabindex="0"><code>${escapeHtml(example)}</code></pre>
<p>One event, an array of events, or lines of events as <code>application/x-ndjson</code>. An event has a <code>name</code>, a numeric
<code>value</code>, and if you like a <code>timestamp</code> in milliseconds and <code>tags</code>. 202 means that it is on the disk.
An OpenTelemetry SDK can send to <code>/v1/metrics</code>.
Ask with <code>/series/NAME?from=-1h&amp;step=1m&amp;agg=avg,p99</code>; <a href="/series">/series</a> lists all, <a href="/metrics">/metrics</a> is for Prometheus.</p>
<p>The percentiles of request latency are estimates: the server counts in the buckets of a histogram, and takes what is in a bucket to be spread
evenly in it. Those of a series are exact.</p>
<p id="keys">On a chart: drag to zoom, double-click to reset. By keyboard: <kbd>←</kbd> <kbd>→</kbd> read values, <kbd>+</kbd> <kbd>−</kbd> zoom, <kbd>Page Up</kbd> <kbd>Page Down</kbd> move, <kbd>Esc</kbd> resets.</p>
</section>`
}

const head = ({ address, assets }: Model): string => `<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${address.series === "" ? "MetricStream" : `${escapeHtml(address.series)} · MetricStream`}</title>
<script>${loadWhole}</script>
<link rel="icon" type="image/svg+xml" href="${toPath(assets, icon)}">
${styles.map((path) => `<link rel="stylesheet" href="${toPath(assets, path)}">`).join("\n")}
<script type="importmap">${importMap(assets)}</script>
${scriptsOf(assets)
  .map((path) => `<link rel="modulepreload" href="${toPath(assets, path)}">`)
  .join("\n")}
<script type="module" src="${toPath(assets, mainScript)}"></script>
</head>`

/** Renders the page. Everything that came from a client is escaped. */
export const render = (model: Model): string => `<!doctype html>
<html lang="en" data-version="${model.assets.version}" data-keep="${model.keep}">
${head(model)}
<body>
<header id="top">
<img src="${toPath(model.assets, icon)}" alt="" width="28" height="28"><h1>MetricStream</h1>
<p id="status" role="status" data-state="connecting">Connecting…</p>
<button type="button" id="pause" aria-pressed="false">Pause</button>
</header>
<p id="outdated" class="notice" role="status" hidden>The server is of another version than this page: what is shown may be wrong. <button type="button">Load it again</button></p>
<noscript><p class="note">The charts need JavaScript. The list below does not.</p></noscript>
<main>
${server}
<div id="explore">
${chosen(model)}
${list(model)}
</div>
${help(model)}
</main>
<p id="announcer" class="unseen" aria-live="polite"></p>
</body>
</html>
`
