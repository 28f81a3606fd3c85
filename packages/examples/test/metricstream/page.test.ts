import { assert, describe, it } from "@effect/vitest"
import { parseAddress } from "@spillway/examples/metricstream/page/address"
import { readAssets, scriptsOf, toPath } from "@spillway/examples/metricstream/page/assets"
import { breakName, formatAge, formatValue, sparkline } from "@spillway/examples/metricstream/page/format"
import { limits } from "@spillway/examples/metricstream/page/limits"
import { headers, render } from "@spillway/examples/metricstream/page/page"
import { partition } from "@spillway/examples/metricstream/page/routes"
import type { IncomingMessage } from "node:http"
import { createHash } from "node:crypto"
import { posix } from "node:path"

const assets = readAssets()

const series = (name: string) => ({
  name,
  count: 3,
  lastValue: 2,
  lastTimestamp: 1000,
  recent: Float64Array.of(0, 1, 2)
})

const page = (names: ReadonlyArray<string>, query: string = "", host: string = "localhost:8080") =>
  render({
    assets,
    address: parseAddress(new URLSearchParams(query)),
    series: names.map(series),
    now: 1000,
    keep: Infinity,
    host
  })

/** The contrast of two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio. */
const contrastOf = (front: string, back: string): number => {
  const luminance = (hex: string) => {
    const digits = hex.length === 4 ? hex.slice(1).replaceAll(/./g, "$&$&") : hex.slice(1)
    const [red, green, blue] = [0, 2, 4].map((at) => {
      const part = Number.parseInt(digits.slice(at, at + 2), 16) / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
  }
  const [darker, lighter] = [luminance(front), luminance(back)].toSorted((a, b) => a - b)
  return (lighter! + 0.05) / (darker! + 0.05)
}

describe("page", () => {
  it("escapes the names of series, the name of the host, and what its address says", () => {
    const hostile = `<img src=x onerror="alert('1')">&`
    const query = new URLSearchParams({ series: hostile, match: hostile }).toString()
    const html = page([hostile], query, hostile)
    assert.notInclude(html, "<img src=x")
    assert.notInclude(html, `alert('`)
    assert.include(html, "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;")
    // Nowhere else than in its texts is there anything that was not there before.
    const tags = (text: string) => [...text.matchAll(/<[a-z][^>]*>/g)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, '""'))
    assert.deepStrictEqual(tags(html), tags(page(["a"], "series=a&match=a", "b")))
  })

  it("lists the series with their latest values", () => {
    const html = page(["room.temperature_celsius"])
    assert.include(html, 'data-name="room.temperature_celsius"')
    assert.include(html, 'href="/?series=room.temperature_celsius"')
    assert.include(html, "2 °C")
    assert.include(html, '<path d="M0 19L60 10L120 1"/>')
    assert.include(html, "1 series")
    assert.include(html, ">3 events<")
    assert.include(html, "http://localhost:8080/events")
  })

  it("marks the chosen series and range, and keeps the others reachable without a script", () => {
    const html = page(["a", "b"], "series=b&range=1h&match=x")
    assert.match(html, /href="\/\?series=b&amp;range=1h&amp;match=x" data-name="b"[^>]* aria-current="true"/)
    assert.notMatch(html, /data-name="a"[^>]* aria-current/)
    assert.include(html, 'href="/?series=b&amp;match=x" data-range="15m"><span>')
    assert.include(html, 'data-range="1h" aria-current="true"><span>')
    assert.include(html, "<title>b · MetricStream</title>")
  })

  it("says so when there is nothing yet, nothing that matches, and more than it shows", () => {
    assert.include(page([]), "No events yet")
    assert.include(page([], "match=x"), "No series matches")
    assert.include(
      page(Array.from({ length: limits.series }, (_, index) => `a${index}`)),
      `the first ${limits.series} `
    )
  })

  it("allows the files of this server and nothing of its own but two scripts that it knows", () => {
    const policy = headers(assets)["content-security-policy"]
    assert.include(policy, "default-src 'none'")
    assert.notInclude(policy, "unsafe")
    const html = page(["a"])
    assert.notMatch(html, / style=| on[a-z]+=|<style/)
    assert.strictEqual(html.match(/<script/g)?.length, 3)
    const own = Array.from(html.matchAll(/<script(?! type="module")[^>]*>([^]*?)<\/script>/g), ([, text = ""]) => text)
    const hashes = own.map((text) => createHash("sha256").update(text).digest("base64"))
    assert.deepStrictEqual(
      Array.from(policy.matchAll(/'sha256-([^']+)'/g), ([, hash]) => hash),
      hashes
    )
    assert.strictEqual(hashes.length, 2)
  })

  it("names only files that are served, and so do its scripts", () => {
    for (const [, path] of page([]).matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)) {
      assert.isTrue(
        [...assets.files.keys()].some((file) => toPath(assets, file) === path),
        path
      )
    }
    for (const file of scriptsOf(assets)) {
      const text = new TextDecoder().decode(assets.files.get(file)!.body)
      for (const [, specifier = ""] of text.matchAll(/^import .* from "([^"]+)"/gm)) {
        if (specifier === "uplot") continue
        assert.isTrue(assets.files.has(posix.join(posix.dirname(file), specifier)), `${file} imports ${specifier}`)
      }
    }
  })

  it("says which of its percentiles are estimates", () => {
    const html = page([])
    assert.include(html, "evenly within each of its buckets")
    assert.match(html, /percentiles of request latency are estimates/)
  })

  it("has colours of enough contrast to be read, light and dark", () => {
    const text = new TextDecoder().decode(assets.files.get("page/base.css")!.body)
    const [light, dark] = text.split("prefers-color-scheme: dark")
    for (const theme of [light!, light! + dark!]) {
      const colors = new Map(
        Array.from(theme.matchAll(/--([a-z]+): (#[0-9a-f]{3,6});/g), ([, name, hex]) => [name, hex!])
      )
      const contrast = (front: string, back: string) => contrastOf(colors.get(front)!, colors.get(back)!)
      for (const back of ["page", "surface", "hover"]) {
        for (const front of ["text", "dim", "warn"]) assert.isAtLeast(contrast(front, back), 4.5, `${front} on ${back}`)
        for (const front of ["focus", "good"]) assert.isAtLeast(contrast(front, back), 3, `${front} on ${back}`)
      }
      for (const line of ["main", "second", "third", "bad"]) assert.isAtLeast(contrast(line, "surface"), 3, line)
    }
  })

  it("keeps its version while its files are the same", () => {
    assert.match(assets.version, /^[0-9a-f]{16}$/)
    assert.strictEqual(readAssets().version, assets.version)
  })
})

describe("the door", () => {
  it("keeps what the page needs together, and apart from what is sent and asked", () => {
    const of = (url: string) => partition({ url } as IncomingMessage)
    for (const url of ["/", "/?series=a", "/live", "/live?series=a", "/assets/0/uplot.js"])
      assert.strictEqual(of(url), "page", url)
    for (const url of [
      "/events",
      "/v1/metrics",
      "/series",
      "/series/a",
      "/liver",
      "/live/x",
      "/assetsx",
      "/x/assets/"
    ]) {
      assert.strictEqual(of(url), "default", url)
    }
  })
})

describe("formatValue", () => {
  it("gives the unit that the name ends in", () => {
    const formatted = (
      [
        ["memory_bytes", 1536],
        ["memory_bytes", 0],
        ["memory_bytes", -3 * 1024 ** 3],
        ["net_bytes_per_second", 10],
        ["cpu_percent", 12.345],
        ["wait_seconds", 0.25],
        ["wait_seconds", 0.0000125],
        ["wait_seconds", -90.5],
        ["orders_per_second", 12.34567],
        ["plain", 1234.5678],
        ["plain", 0.000001],
        ["plain", 1e300],
        ["plain", -0.12345]
      ] as const
    ).map(([name, value]) => formatValue(name, value))
    assert.deepStrictEqual(formatted, [
      "1.5 KiB",
      "0 B",
      "-3 GiB",
      "10 B/s",
      "12.3 %",
      "250 ms",
      "12.5 µs",
      "-90.5 s",
      "12.35/s",
      "1,234.5678",
      "1.00e-6",
      "1.00e+300",
      "-0.1235"
    ])
  })
})

describe("formatAge", () => {
  it("counts in the unit that fits", () => {
    const now = 1_000_000_000_000
    const ages = [0, 5, 119, 600, 86_400, 10 * 86_400, -60].map((seconds) => formatAge(now - seconds * 1000, now))
    assert.deepStrictEqual(ages, ["now", "5 s ago", "119 s ago", "10 min ago", "24 h ago", "10 d ago", "in 60 s"])
  })
})

describe("sparkline", () => {
  it("draws any finite values", () => {
    assert.strictEqual(sparkline([]), "")
    assert.strictEqual(sparkline([5, 5]), "M0 10L120 10")
    assert.strictEqual(sparkline([0, 1, 4]), "M0 19L60 14.5L120 1")
    assert.strictEqual(sparkline([-1.7e308, 0, 1.7e308]), "M0 19L60 10L120 1")
  })
})

describe("breakName", () => {
  it("lets a name break behind its parts", () => {
    assert.strictEqual(breakName("a.b_c"), "a.<wbr>b_<wbr>c")
    assert.strictEqual(breakName("a_<b>"), "a_&lt;b&gt;")
  })
})
