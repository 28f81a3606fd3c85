/** Figures as the text shows them: the middle of the rounds, and how far they lie apart. */
import { spread } from "../support/statistics.ts"
import { number, rounded } from "../support/markdown.ts"

export const mebibyte = 2 ** 20

/** Those that are numbers: what never happened has none. */
const known = (values: ReadonlyArray<number | null | undefined>): ReadonlyArray<number> =>
  values.filter((value): value is number => typeof value === "number" && Number.isFinite(value))

/** `null` if there is none. */
export const middle = (values: ReadonlyArray<number | null | undefined>): number | null => {
  const numbers = known(values)
  return numbers.length === 0 ? null : spread(numbers).median
}

/** `9,876 (9,801 to 9,902)`, or `9,876` if the rounds agree in what is shown; `-` if there is nothing. */
export const shown = (
  values: ReadonlyArray<number | null | undefined>,
  unit = "",
  format: (value: number) => string = rounded
): string => {
  const numbers = known(values)
  if (numbers.length === 0) return "-"
  const { max, median, min } = spread(numbers)
  const [low, high] = [format(min), format(max)]
  return low === high ? `${format(median)}${unit}` : `${format(median)}${unit} (${low} to ${high})`
}

export const millis = (values: ReadonlyArray<number | null | undefined>): string => {
  const value = middle(values)
  return value !== null && value >= 1000
    ? shown(
        values.map((each) => (each === null || each === undefined ? null : each / 1000)),
        " s",
        (seconds) => number(seconds, 2)
      )
    : shown(values, " ms")
}

export const megabytes = (bytes: ReadonlyArray<number>): string =>
  shown(
    bytes.map((value) => value / mebibyte),
    " MB",
    (value) => number(value)
  )

/** One figure in a sentence. */
export const plainMillis = (value: number): string =>
  value >= 1000 ? `${number(value / 1000, 2).replace(/\.?0+$/, "")} s` : `${rounded(value)} ms`

export const plainMegabytes = (bytes: number): string => `${number(bytes / mebibyte)} MB`

/** A measured figure that is not further from the claimed one agrees with it; shares in per cent may be so many points apart. */
export const [tolerance, tolerancePoints] = [0.05, 1]

export const agrees = (measured: number, claimed: number): boolean =>
  Math.abs(measured - claimed) <= tolerance * claimed

/** As the text says them. */
export const [toleranceText, pointsText] = [`${100 * tolerance} %`, `${tolerancePoints} point`]
