import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
const executablePath = places.find((path) => existsSync(path))

/** There is no browser to test with. CI must have one: there the tests fail without. */
export const hasNoBrowser = executablePath === undefined && process.env["CI"] === undefined

/** A browser with a profile of its own. It ends with the scope. */
export const launch = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: executablePath ?? places[0]!,
      args: [
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync"
      ]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** A page that is open, and what went wrong in it. */
export interface Visit {
  readonly page: Page
  /** Errors, warnings and breaches of the policy, as they were reported. */
  readonly complaints: ReadonlyArray<string>
}

/** Opens a page, after it was prepared. It is closed with the scope. */
export const open = Effect.fnUntraced(function* (
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  prepare: (page: Page) => Promise<void> = async () => {}
) {
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  const complaints: Array<string> = []
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.stack ?? error.message))
  yield* Effect.promise(() =>
    page.addInitScript(`
      addEventListener("securitypolicyviolation", ({ blockedURI, violatedDirective }) =>
        console.error("policy:", violatedDirective, blockedURI))
      window.shifted = 0
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value
      }).observe({ type: "layout-shift", buffered: true })
    `)
  )
  yield* Effect.promise(() => prepare(page))
  yield* Effect.promise(() => page.goto(url))
  const seen: Visit = { page, complaints }
  return seen
})

/** Opens a page, and waits until it is live. */
export const visit = (...args: Parameters<typeof open>) => Effect.tap(open(...args), ({ page }) => isLive(page))

/** What an expression gives in a page. */
export const valueOf = <A>(page: Page, script: string) => Effect.promise(() => page.evaluate<A>(script))

/** Waits until something is so in a page. Playwright's own way evaluates in the page, which its policy forbids. */
export const until = (page: Page, condition: string) =>
  valueOf<boolean>(page, condition).pipe(
    Effect.delay(50),
    Effect.repeat({ until: (holds) => holds }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.die(new Error(`it never came true that ${condition}`))
    })
  )

/** Waits until a text is as it should be. */
export const textIs = (page: Page, selector: string, pattern: RegExp) => {
  let found = ""
  return valueOf<string>(page, `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`).pipe(
    Effect.delay(50),
    Effect.map((text) => (found = text)),
    Effect.repeat({ until: (text) => pattern.test(text) }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.die(new Error(`${selector} is not ${pattern} but "${found}"`))
    })
  )
}

export const isLive = (page: Page) => textIs(page, "#status", /^Live$/)

/** How many pixels of a chart have about the colour of a line. */
const painted = (page: Page, plot: string, color: string) =>
  valueOf<number>(
    page,
    `(() => {
      const canvas = document.querySelector(${JSON.stringify(plot)} + " canvas")
      const { height, width } = canvas
      // A copy, which may be read often: of one that may not the browser warns.
      const copy = Object.assign(document.createElement("canvas"), { height, width })
      const context = copy.getContext("2d", { willReadFrequently: true })
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--${color}")
      context.fillRect(0, 0, 1, 1)
      const [red, green, blue] = context.getImageData(0, 0, 1, 1).data
      context.clearRect(0, 0, 1, 1)
      context.drawImage(canvas, 0, 0)
      const { data } = context.getImageData(0, 0, width, height)
      let count = 0
      for (let at = 0; at < data.length; at += 4) {
        const distance = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue)
        if (data[at + 3] > 230 && distance < 60) count++
      }
      return count
    })()`
  )

/** Waits until a line of a chart can be seen. */
export const isPainted = (page: Page, plot: string, color: string) =>
  painted(page, plot, color).pipe(
    Effect.delay(50),
    Effect.repeat({ until: (pixels) => pixels > 10 }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () => Effect.die(new Error(`${plot} has no line in the colour ${color}`))
    })
  )

/** Slides a finger over a part of a chart, given as shares of its width. It stays where it ends. */
export const slide = Effect.fnUntraced(function* (page: Page, plot: string, from: number, to: number) {
  yield* Effect.promise(async () => {
    const over = page.locator(`${plot} .u-over`)
    await over.scrollIntoViewIfNeeded()
    const { height, width, x, y } = (await over.boundingBox())!
    const session = await page.context().newCDPSession(page)
    const touch = (type: "touchStart" | "touchMove", share: number) =>
      session.send("Input.dispatchTouchEvent", { type, touchPoints: [{ x: x + width * share, y: y + height / 2 }] })
    await touch("touchStart", from)
    for (let step = 1; step <= 4; step++) await touch("touchMove", from + ((to - from) * step) / 4)
  })
})

/** Drags with the mouse over a part of a chart, given as shares of its width. */
export const drag = Effect.fnUntraced(function* (page: Page, plot: string, from: number, to: number) {
  const over = page.locator(`${plot} .u-over`)
  yield* Effect.promise(() => over.scrollIntoViewIfNeeded())
  const box = (yield* Effect.promise(() => over.boundingBox()))!
  const y = box.y + box.height / 2
  yield* Effect.promise(async () => {
    await page.mouse.move(box.x + box.width * from, y)
    await page.mouse.down()
    await page.mouse.move(box.x + (box.width * (from + to)) / 2, y)
    await page.mouse.move(box.x + box.width * to, y)
    await page.mouse.up()
  })
})

export const assertNoComplaints = ({ complaints }: Visit): void => assert.deepStrictEqual(complaints, [])
