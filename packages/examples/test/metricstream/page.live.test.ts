import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { assertNoComplaints, hasNoBrowser, isPainted, textIs, until, valueOf, visit } from "./support/browser.ts"
import { hostile, press, Running, search } from "./support/livePage.ts"
import { post, request } from "./support/server.ts"

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
        // It is that of the last second, if there were requests in it.
        const others = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(post(url, { name: "beside", value: 1 }), Effect.sleep(200)))
        )
        yield* textIs(page, '[data-figure="p99"]', /^[\d.]+ .?s$/)
        yield* Fiber.interrupt(others)
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
        // It breaks behind a part where it has no room, as in the list.
        assert.strictEqual(yield* valueOf(page, 'document.querySelector("#chosen-title").innerHTML'), "found.<wbr>b")
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

    it.effect("says why nothing is drawn, for as long as that is so", () =>
      Effect.gen(function* () {
        const { browser, url } = yield* Running
        for (const values of [[-1.7e308, 1.7e308], [1.7e308]]) {
          const name = `huge.${values.length}`
          yield* post(
            url,
            values.map((value) => ({ name, value }))
          )
          const huge = yield* visit(browser, `${url}/?series=${name}`)
          yield* textIs(huge.page, ".note", /^Numbers this large cannot be drawn\.$/)
          yield* textIs(huge.page, '#chosen [data-of="max"]', /^1\.70e\+308$/)
          assertNoComplaints(huge)
        }
        yield* post(url, { name: "rare", value: 1, timestamp: Date.now() - 3_600_000 })
        const seen = yield* visit(browser, `${url}/?series=rare`)
        yield* textIs(seen.page, ".note", /^No events in this time\.$/)
        yield* post(url, { name: "rare", value: 2 })
        yield* textIs(seen.page, ".note", /^$/)
        assertNoComplaints(seen)
      })
    )

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
