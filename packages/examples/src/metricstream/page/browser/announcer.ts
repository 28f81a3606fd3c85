import { find } from "./elements.ts"

/** Says something to those who do not see the page. Only for what the reader has just asked for: everything else would be noise. */
export const announce = (text: string): void => {
  const element = find("#announcer", HTMLElement)
  // The same text again is read only if the element has changed.
  element.textContent = element.textContent === text ? `${text}\u00a0` : text
}
