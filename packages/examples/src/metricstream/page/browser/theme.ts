/** The colours of the style sheet, for what is drawn on a canvas, which knows nothing of it. */

const dark = matchMedia("(prefers-color-scheme: dark)")
let known = new Map<string, string>()

/** The value of a custom property. */
export const themed = (property: string): string => {
  let value = known.get(property)
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(`--${property}`).trim()
    known.set(property, value)
  }
  return value
}

/** Calls back when the colours have changed. Returns how to end that. */
export const onThemeChange = (listener: () => void): (() => void) => {
  const changed = (): void => {
    known = new Map()
    listener()
  }
  dark.addEventListener("change", changed)
  return () => dark.removeEventListener("change", changed)
}
