/** The buttons of a section that do what keys and gestures do, for those who have neither a mouse nor a keyboard. */
import { find } from "./elements.ts"

export interface Zooming {
  /** Shows so many times the time that is seen. */
  readonly scale: (factor: number) => void
  readonly reset: () => void
}

/** Connects the buttons of a section. Returns how to say whether it is zoomed. */
export const connectToolbar = (section: HTMLElement, { reset, scale }: Zooming): ((zoomed: boolean) => void) => {
  const button = (action: string) => find(`[data-action="${action}"]`, HTMLButtonElement, section)
  const resetButton = button("reset")
  button("zoom-in").addEventListener("click", () => scale(0.5))
  button("zoom-out").addEventListener("click", () => scale(2))
  resetButton.addEventListener("click", reset)
  return (zoomed) => {
    // Not `disabled`: the button must not lose the focus by being used.
    resetButton.setAttribute("aria-disabled", String(!zoomed))
  }
}
