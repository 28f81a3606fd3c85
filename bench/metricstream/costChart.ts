/** The stages of a request as one bar on another, beside what the documents claim. */
import { colours, document, text } from "../support/svg.ts"
import { stages } from "./cost.ts"
import type { CostResult, Stage } from "./cost.ts"

interface Part {
  readonly name: string
  readonly value: number
  readonly colour: string
}

const [width, height, left, right, top, bottom] = [960, 360, 150, 60, 60, 66]
const palette = [...colours.filter((colour) => colour !== "#868e96"), "#f08c00", "#74b816"]

const labels: Readonly<Record<Stage, string>> = {
  read: "read",
  parse: "parse HTTP",
  server: "server",
  rateLimit: "rate limit",
  json: "JSON",
  validate: "validate",
  store: "store",
  write: "write"
}

const round = (value: number) => (value >= 10 ? value.toFixed(0) : value.toFixed(1))

/** Round steps, five to ten of them. */
const ticks = (max: number): ReadonlyArray<number> => {
  const rough = max / 8
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, index) => index * step)
}

const legend = (parts: ReadonlyArray<Part>, line: number) => {
  const each = (width - 32) / 8
  return parts.map(({ colour, name, value }, index) => {
    const x = 16 + index * each
    return (
      `<rect x="${x.toFixed(1)}" y="${height - bottom + 26 + 18 * line}" width="11" height="11" fill="${colour}"/>` +
      text(x + 15, height - bottom + 36 + 18 * line, `${name} ${round(value)}`, "start")
    )
  })
}

/** Draws the result: what was measured stage by stage, what the whole server took, and what was claimed. */
export const costChart = (result: CostResult): string => {
  const parts: ReadonlyArray<Part> = (Object.keys(stages) as Array<Stage>).map((stage, index) => ({
    name: labels[stage],
    value: result.stages[stage],
    colour: palette[index % palette.length]!
  }))
  const one = (name: string, value: number): Part => ({ name, value, colour: "#c9b458" })
  const { claimed, sum, whole, wholeThreads } = result
  const threads: ReadonlyArray<Part> = [
    { name: "event loop", value: wholeThreads.eventLoop, colour: "#495057" },
    { name: "storage thread", value: wholeThreads.storage, colour: "#868e96" },
    {
      name: "engine",
      value: Math.max(0, whole.median - wholeThreads.eventLoop - wholeThreads.storage),
      colour: "#ced4da"
    }
  ]
  const rows: ReadonlyArray<{ readonly name: string; readonly parts: ReadonlyArray<Part> }> = [
    { name: "sum of the stages", parts },
    { name: "whole server", parts: threads },
    { name: "claimed: work", parts: [one("work", claimed.work)] },
    { name: "claimed: pool", parts: [one("pool", claimed.pool)] }
  ]
  const steps = ticks(Math.max(sum.median, whole.median, claimed.pool))
  const px = (value: number) => left + (value / steps.at(-1)!) * (width - left - right)
  const each = (height - top - bottom) / rows.length
  const bars = rows.map((row, index) => {
    const y = top + index * each + each * 0.18
    let from = 0
    const rects = row.parts.map(({ colour, value }) => {
      const x = px(from)
      from += value
      return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0, px(from) - x).toFixed(1)}" height="${(each * 0.64).toFixed(1)}" fill="${colour}"/>`
    })
    const middle = y + each * 0.32 + 4
    return [
      ...rects,
      text(left - 8, middle, row.name, "end"),
      text(px(from) + 6, middle, `${round(from)} us`, "start")
    ].join("")
  })
  const title = `MetricStream: microseconds of CPU for a request, at ${result.rate.toLocaleString("en")} requests a second`
  return document(width, height, [
    `<text x="16" y="26" font-size="16" font-weight="bold">${title}</text>`,
    text(16, 44, `with a thread for each request the documents claim ${claimed.threadPerRequest} us`, "start"),
    `<g stroke="#ddd">${steps.map((step) => `<path d="M${px(step).toFixed(1)} ${top}V${height - bottom}"/>`).join("")}</g>`,
    ...steps.map((step) => text(px(step), height - bottom + 15, String(step), "middle")),
    ...bars,
    ...legend(parts, 0),
    ...legend(threads, 1)
  ])
}
