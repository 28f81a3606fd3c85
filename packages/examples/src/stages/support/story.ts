/** How the stages tell what happens while it happens. */
import { Clock, Console, Duration, Effect } from "effect"
import { styleText } from "node:util"

/** A duration as people read it: `0.8 ms`, `25 ms`, `5.0 s`. */
export const format = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  if (millis >= 1000) return `${(millis / 1000).toFixed(1)} s`
  return `${millis.toFixed(millis < 10 ? 1 : 0)} ms`
}

export const title = (text: string) => Console.log(`\n${styleText("bold", text)}`)
export const good = (text: string): string => styleText("green", text)
export const bad = (text: string): string => styleText("red", text)
export const faint = (text: string): string => styleText("dim", text)

/** Begins a story: what is told has the time since then in front. */
export const begin = Effect.map(Clock.monotonicTimeNanos, (began) => (text: string) => {
  const tell = (now: bigint) => Console.log(`${(Number(now - began) / 1e9).toFixed(1).padStart(6)} s  ${text}`)
  return Effect.flatMap(Clock.monotonicTimeNanos, tell)
})
export type Tell = Effect.Success<typeof begin>

/** Rows as text, each column as wide as its widest cell. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("   ")}`.trimEnd())
    .join("\n")
}
