import { assert, describe, it } from "@effect/vitest"
import { formatAge, formatValue, sparkline } from "@spillway/examples/metricstream/page/format"
import { headers, limits, render } from "@spillway/examples/metricstream/page/page"

const series = (name: string) => ({
  name,
  count: 3,
  lastValue: 2,
  lastTimestamp: 1000,
  recent: Float64Array.of(0, 1, 2)
})

describe("page", () => {
  it("escapes the names of series and the name of the host", () => {
    const hostile = `<img src=x onerror="alert('1')">&`
    const html = render({ series: [series(hostile)], now: 1000, host: hostile })
    assert.notInclude(html, "<img")
    assert.include(html, "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;</a>")
    assert.include(html, `href="/series/${encodeURIComponent(hostile).replaceAll("'", "&#39;")}"`)
  })

  it("lists the series with their latest values", () => {
    const html = render({ series: [series("room.temperature_celsius")], now: 1000, host: "localhost:8080" })
    assert.include(html, "room.temperature_celsius</a>")
    assert.include(html, "2 °C")
    assert.include(html, "▁▅█")
    assert.include(html, "1 series, 3 events")
    assert.include(html, "http://localhost:8080/events")
  })

  it("says so when there is nothing yet, and when there is more than it shows", () => {
    assert.include(render({ series: [], now: 0, host: "h" }), "No events yet")
    const many = Array.from({ length: limits.series }, (_, index) => series(`a${index}`))
    assert.include(render({ series: many, now: 0, host: "h" }), `the first ${limits.series} series`)
  })

  it("allows its own script and style by their hashes, and no other", () => {
    const policy = headers["content-security-policy"]
    assert.include(policy, "default-src 'none'")
    assert.notInclude(policy, "unsafe")
    assert.strictEqual(policy.match(/'sha256-/g)?.length, 2)
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
      "0.25 s",
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
    assert.strictEqual(sparkline([5, 5]), "▁▁")
    assert.strictEqual(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█")
    assert.strictEqual(sparkline([-1.7e308, 0, 1.7e308]), "▁▅█")
  })
})
