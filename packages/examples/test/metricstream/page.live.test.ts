import { assert, describe, it, layer } from "@effect/vitest"
import { limits } from "@spillway/examples/metricstream/live/live"
import { openWriter } from "@spillway/examples/metricstream/storage/writer"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import type { Browser } from "playwright-core"
import {
  assertNoComplaints,
  drag,
  hasNoBrowser,
  isLive,
  launch,
  open,
  isPainted,
  slide,
  textIs,
  until,
  valueOf,
  visit
} from "./support/browser.ts"
import { temporaryFolder, toColumns } from "./support/files.ts"
import { post, request, start } from "./support/server.ts"
import { view } from "./support/viewers.ts"

/** A name that no client could send, but that a database may have. */
const hostile = `<img src=x onerror="window.hacked = true">'"&amp;`

/** A machine on which many tests run at once is no overload. */
const patient = { SPILLWAY_HTTP_QUEUE_TARGET: "Infinity", SPILLWAY_HTTP_MAX_QUEUE_WAIT: "30 seconds" }

/** One server and one browser for the tests of this file. */
class Running extends Context.Service<Running, { readonly browser: Browser; readonly url: string }>()("test/Running") {
  static readonly layer = Layer.effect(
    Running,
    Effect.gen(function* () {
      const database = join(yield* temporaryFolder, "metricstream.db")
      const writer = openWriter(database)
      writer.append(toColumns([{ name: hostile, value: 1 }], Date.now()))
      writer.close()
      const browser = yield* launch
      const { url } = yield* start(database, patient)
      yield* post(url, { name: "shown", value: 1 })
      return { browser, url }
    })
  )
}

const press = (page: { keyboard: { press: (key: string) => Promise<void> } }, ...keys: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    for (const key of keys) await page.keyboard.press(key)
  })

const search = (page: { url: () => string }) => new URL(page.url()).searchParams

if (hasNoBrowser)
  console.warn("The live page is not tested: there is no chromium. Install the Debian package chromium.")

describe.skipIf(hasNoBrowser)("the live page in a browser", () => {
  layer(Running.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("draws what arrives, moves nothing when it loads, and breaks no policy", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        yield* post(url, { name: "first.drawn_seconds", value: 0.25 })
        const seen = yield* visit(browser, `${url}/?series=first.drawn_seconds`)
        const { page } = seen
        yield* textIs(page, '#chosen [data-of="p99"]', /^250 ms$/)
        assert.isBelow(yield* valueOf<number>(page, "window.shifted"), 0.02)
        const load = Effect.repeat(post(url, { name: "first.drawn_seconds", value: 0.5 }), { times: 5 })
        yield* load
        yield* textIs(page, '[data-figure="stored"]', /^[1-9]/)
        yield* textIs(page, '[data-figure="p99"]', /^[1-9.]+ .?s$/)
        yield* textIs(page, "#latest", /^500 ms$/)
        yield* textIs(page, '#chosen [data-of="max"]', /^500 ms$/)
        yield* textIs(page, 'a[data-name="first.drawn_seconds"] .count', /^7 events$/)
        for (const card of ["#card-ingest", "#card-requests", "#card-loop"]) {
          yield* isPainted(page, card, card === "#card-loop" ? "second" : "main")
        }
        yield* isPainted(page, "#chosen", "main")
        assertNoComplaints(seen)
      })
    )

    it.effect("finds a series by its name and shows it, by keyboard alone, at an address of its own", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        yield* post(
          url,
          ["found.a", "found.b", "lost"].map((name, value) => ({ name, value }))
        )
        const seen = yield* visit(browser, url)
        const { page } = seen
        yield* Effect.promise(() => page.focus("input[type=search]"))
        yield* Effect.promise(() => page.keyboard.type("FOUND"))
        yield* until(page, 'document.querySelectorAll("a.row").length === 2')
        assert.strictEqual(search(page).get("match"), "FOUND")
        yield* press(page, "ArrowDown", "ArrowDown", "Enter")
        yield* textIs(page, "#chosen-title", /^found\.b$/)
        assert.strictEqual(search(page).get("series"), "found.b")
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* press(page, "ArrowUp", "ArrowUp")
        assert.isTrue(yield* valueOf<boolean>(page, 'document.activeElement.matches("input[type=search]")'))
        yield* Effect.promise(() => page.goBack())
        yield* textIs(page, "#chosen-title", /^(?!found\.b)/)
        // Whoever gets the address sees the same.
        const other = yield* visit(browser, `${url}/?series=found.a&range=1h&match=found`)
        yield* textIs(other.page, "#chosen-title", /^found\.a$/)
        yield* textIs(other.page, '#chosen a[aria-current="true"]', /^1 h$/)
        assert.strictEqual(yield* valueOf(other.page, 'document.querySelectorAll("a.row").length'), 2)
        for (const each of [seen, other]) assertNoComplaints(each)
      })
    )

    it.effect("shows a series that comes up while it is looked at", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const seen = yield* visit(browser, `${url}/?series=newcomer&match=newcomer`)
        const { page } = seen
        yield* textIs(page, ".note", /no series of this name/)
        yield* post(url, { name: "newcomer", value: 3 })
        yield* until(page, 'document.querySelector(\'a[data-name="newcomer"][aria-current="true"]\') !== null')
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        // That the series was not there is an answer, which the browser reports all the same.
        assert.isTrue(
          seen.complaints.every((text) => text.includes("404")),
          seen.complaints.join()
        )
      })
    )

    it.effect("zooms by mouse, and back", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const seen = yield* visit(browser, `${url}/?series=shown`)
        const { page } = seen
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* drag(page, "#chosen", 0.5, 0.9)
        yield* until(page, 'location.search.includes("from=")')
        const [from, to] = ["from", "to"].map((name) => Number(search(page).get(name)))
        assert.closeTo(to! - from!, 0.4 * 900_000, 20_000)
        yield* Effect.promise(() => page.dblclick("#chosen .u-over"))
        yield* until(page, '!location.search.includes("from=")')

        const isReset = '#server [data-action="reset"][aria-disabled="true"]'
        yield* drag(page, "#card-latency", 0.6, 0.95)
        yield* until(page, `document.querySelector('${isReset}') === null`)
        yield* Effect.promise(() => page.dblclick("#card-loop .u-over"))
        yield* until(page, `document.querySelector('${isReset}') !== null`)
        assertNoComplaints(seen)
      })
    )

    it.effect("reads values and zooms by keyboard, and says what is at the crosshair", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const seen = yield* visit(browser, `${url}/?series=shown`)
        const { page } = seen
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        yield* Effect.promise(() => page.focus("#card-requests .plot"))
        yield* press(page, "ArrowLeft")
        yield* textIs(page, "#announcer", /^\d\d:\d\d:\d\d: answered [\d.,]+\/s, refused 0\/s, failed 0\/s$/)
        yield* textIs(page, "#card-requests .at", /^\d\d:\d\d:\d\d$/)
        // The crosshair is in all charts.
        yield* textIs(page, "#card-loop .at", /^\d\d:\d\d:\d\d$/)
        yield* press(page, "+")
        yield* textIs(page, "#announcer", /^zoomed to /)
        yield* press(page, "Escape")
        yield* textIs(page, "#announcer", /^zoom reset/)
        yield* textIs(page, "#card-requests .at", /^$/)
        yield* Effect.promise(() => page.focus("#chosen .plot"))
        yield* press(page, "+")
        yield* until(page, 'location.search.includes("from=")')
        yield* press(page, "Escape")
        yield* until(page, '!location.search.includes("from=")')
        assertNoComplaints(seen)
      })
    )

    it.effect("gives every chart a text, and every control a name and a place in the order of the tabulator key", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, `${url}/?series=shown`)
        yield* until(page, `document.querySelector("#card-requests .plot").ariaLabel.includes("answered")`)
        const stops: Array<string> = []
        while (!stops.includes("input:Search series by name") && stops.length < 40) {
          yield* press(page, "Tab")
          stops.push(
            yield* valueOf<string>(
              page,
              `(({ localName, textContent, ariaLabel, value, className }) => className === "plot" ? "plot:" + ariaLabel.split(":")[0] : localName + ":" + (ariaLabel ?? (textContent.trim() || value)))(document.activeElement)`
            )
          )
        }
        assert.deepStrictEqual(stops, [
          "button:Pause",
          "input:300000",
          "button:Zoom in",
          "button:Zoom out",
          "button:Reset",
          "plot:Events stored",
          "plot:Requests",
          "plot:Request latency",
          "plot:Queues",
          "plot:Event-loop delay",
          "plot:Offload workers",
          ...["15 min", "1 h", "6 h", "1 d", "7 d", "30 d"].map((range) => `a:${range}`),
          "button:Zoom in",
          "button:Zoom out",
          "button:Reset",
          "plot:shown",
          "input:Search series by name"
        ])
      })
    )

    for (const colorScheme of ["light", "dark"] as const) {
      it.effect(`fits a phone, ${colorScheme}`, () =>
        Effect.gen(function* () {
          const { browser, url } = yield* Running
          const seen = yield* visit(browser, `${url}/?series=shown`, {
            viewport: { width: 360, height: 740 },
            hasTouch: true,
            isMobile: true,
            colorScheme
          })
          const { page } = seen
          yield* textIs(page, '[data-figure="p50"]', /s$/)
          assert.isAtMost(yield* valueOf<number>(page, "document.documentElement.scrollWidth"), 360)
          const lightness = yield* valueOf<number>(
            page,
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3"
          )
          assert.strictEqual(lightness > 128, colorScheme === "light")
          yield* isPainted(page, "#card-requests", "main")
          // A finger reads values.
          yield* slide(page, "#card-requests", 0.6, 0.99)
          yield* textIs(page, "#card-requests .at", /\d/)
          assertNoComplaints(seen)
        })
      )
    }

    it.effect("changes its colours, those of its charts too, when the system does", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, `${url}/?series=shown`, { colorScheme: "light" })
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* Effect.promise(() => page.click("#pause"))
        yield* isPainted(page, "#card-requests", "main")
        yield* Effect.promise(() => page.emulateMedia({ colorScheme: "dark" }))
        yield* isPainted(page, "#card-requests", "main")
      })
    )

    it.effect("treats the names of series, and what its address says, as texts", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const query = new URLSearchParams({ series: hostile, match: "<img" })
        const seen = yield* visit(browser, `${url}/?${query}`)
        const { page } = seen
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* Effect.promise(() => page.fill("input[type=search]", `onerror="`))
        yield* until(page, 'location.search.includes("onerror")')
        yield* Effect.promise(() => page.click("a.row"))
        for (const selector of ["#chosen-title", "a.row .name"]) {
          assert.strictEqual(yield* Effect.promise(() => page.textContent(selector)), hostile)
        }
        assert.isUndefined(yield* valueOf(page, "window.hacked"))
        assert.strictEqual(yield* valueOf(page, 'document.querySelectorAll("img").length'), 1)
        assertNoComplaints(seen)
      })
    )

    it.effect("costs the server nothing while it is paused or hidden, and has no hole afterwards", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const { page } = yield* visit(browser, url)
        /** What each connection said that it has already. */
        const known: Array<string | undefined> = []
        page.on("request", (request) => {
          if (new URL(request.url()).pathname === "/live") known.push(request.headers()["last-event-id"])
        })
        yield* textIs(page, '[data-figure="answered"]', /\d/)
        const viewers = Effect.map(
          request(`${url}/metrics`),
          ({ text }) => /^metricstream_live_viewers (\d+)$/m.exec(text)?.[1]
        )
        const eventually = (wanted: string) =>
          viewers.pipe(
            Effect.delay(20),
            Effect.repeat({ until: (count) => count === wanted }),
            Effect.timeout("15 seconds")
          )
        yield* eventually("1")
        yield* Effect.promise(() => page.click("#pause"))
        yield* textIs(page, "#status", /^Paused$/)
        yield* eventually("0")
        yield* Effect.promise(() => page.click("#pause"))
        yield* isLive(page)
        yield* eventually("1")
        const hide = (hidden: boolean) =>
          valueOf(
            page,
            `Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`
          )
        yield* hide(true)
        yield* eventually("0")
        yield* hide(false)
        yield* isLive(page)
        yield* eventually("1")
        assert.strictEqual(known.length, 2)
        for (const id of known) assert.match(id ?? "", /^\d{13}$/)
      })
    )

    it.effect("says that the server is gone, and goes on by itself when it is back", () =>
      Effect.gen(function* () {
        const { browser } = yield* Running
        const database = join(yield* temporaryFolder, "metricstream.db")
        const first = yield* start(database, patient)
        yield* post(first.url, { name: "survivor", value: 1 })
        const { page } = yield* visit(browser, `${first.url}/?series=survivor`)
        yield* textIs(page, '#chosen [data-of="count"]', /^1$/)
        yield* valueOf(page, "void (window.sameDocument = true)")
        assert.strictEqual(yield* first.end("SIGTERM"), 0)
        yield* textIs(page, "#status", /restarting|No answer/)
        const second = yield* start(database, { ...patient, PORT: String(first.port) })
        yield* isLive(page)
        yield* post(second.url, { name: "survivor", value: 2 })
        yield* textIs(page, "#latest", /^2$/)
        yield* textIs(page, 'a[data-name="survivor"] .count', /^2 events$/)
        assert.isTrue(yield* valueOf<boolean>(page, "window.sameDocument"))
      })
    )

    it.effect("says that there is no room for it, and comes in when there is", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        const viewers = yield* Effect.forEach(Array.from({ length: limits.viewers }), () => view(`${url}/live`), {
          concurrency: 8
        })
        const { page } = yield* open(browser, url)
        yield* textIs(page, "#status", /^Too many viewers/)
        yield* Effect.forEach(viewers, ({ leave }) => leave)
        yield* isLive(page)
      })
    )

    it.effect("serves its files so that they are fetched once", () =>
      Effect.gen(function* () {
        const { url } = yield* Running
        const [, path] = /src="(\/assets\/[^"]+main\.ts)"/.exec((yield* request(url)).text)!
        const { headers, status } = yield* request(url + path)
        assert.strictEqual(status, 200)
        assert.match(headers.get("content-type")!, /^text\/javascript/)
        assert.strictEqual(headers.get("cache-control"), "public, max-age=31536000, immutable")
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        assert.strictEqual((yield* request(`${url}/assets/0/page/browser/main.ts`)).status, 404)
      })
    )
  })
})

/**
 * Where the pictures of the README are written to: `METRICSTREAM_PICTURES=$PWD/docs/images npx vitest run --project examples page.live`.
 * Without it none are made: tests change no file of the repository.
 */
const pictures = process.env["METRICSTREAM_PICTURES"]

/** What a shop sells in a tenth of a second, more and less in waves. */
const orders = (timestamp: number) => {
  const turn = timestamp / 100
  return Array.from({ length: Math.round(6 * (1 + 0.6 * Math.sin(turn / 60)) * (0.8 + 0.4 * Math.random())) }, () => [
    {
      name: "shop.checkout_seconds",
      value: 0.02 + 0.015 * Math.sin(turn / 400) + Math.exp(Math.random() * 3.5) / 1000,
      timestamp
    },
    { name: "shop.cart_bytes", value: 2000 + Math.random() * 9000, timestamp },
    { name: "shop.orders_eur", value: 10 + Math.random() * 90, timestamp }
  ])
}

/** Posts the orders of the last quarter of an hour, a second a request. */
const postPast = (url: string, now: number) =>
  Effect.forEach(
    Array.from({ length: 900 }, (_, index) => now - (900 - index) * 1000),
    (second) => post(url, Array.from({ length: 10 }, (_, tenth) => orders(second + tenth * 100)).flat(2)),
    { concurrency: 8, discard: true }
  )

/** Posts orders as they come, until it is interrupted. */
const postPresent = (url: string) =>
  Effect.suspend(() =>
    Effect.forEach(orders(Date.now()), (events) => post(url, events), { concurrency: "unbounded", discard: true })
  ).pipe(Effect.delay(100), Effect.forever)

describe.skipIf(pictures === undefined)("the pictures of the live page", () => {
  it.live(
    "show a server at work",
    () =>
      Effect.gen(function* () {
        const database = join(yield* temporaryFolder, "metricstream.db")
        const { url } = yield* start(database, {
          ...patient,
          METRICSTREAM_SAMPLER: "on",
          METRICSTREAM_RATE_LIMIT: "1000000"
        })
        yield* postPast(url, Date.now())
        yield* Effect.forkScoped(postPresent(url))
        const browser = yield* launch
        const address = `${url}/?series=shop.checkout_seconds&range=15m`
        // It takes the time that it shows.
        yield* Effect.sleep("5 minutes")
        for (const [file, colorScheme, width, height] of [
          ["metricstream.png", "light", 1280, 1090],
          ["metricstream-dark.png", "dark", 1280, 1090],
          ["metricstream-phone.png", "dark", 360, 740]
        ] as const) {
          const isMobile = width === 360
          const options = { viewport: { width, height }, colorScheme, isMobile, deviceScaleFactor: isMobile ? 2 : 1 }
          const { page } = yield* visit(browser, address, options)
          yield* textIs(page, '#chosen [data-of="p99"]', /s$/)
          yield* textIs(page, '[data-figure="p99"]', /s$/)
          yield* Effect.promise(() => page.screenshot({ path: join(pictures!, file) }))
        }
      }),
    400_000
  )
})
