/** Finds what the server has rendered. It is there, or the page is broken: then it is better to say so at once. */

type Kind<A extends Element> = new () => A

export const find = <A extends Element>(selector: string, kind: Kind<A>, within: ParentNode = document): A => {
  const found = within.querySelector(selector)
  if (found instanceof kind) return found
  throw new Error(`the page has no ${selector}`)
}

export const findAll = <A extends Element>(selector: string, kind: Kind<A>, within: ParentNode = document): Array<A> =>
  [...within.querySelectorAll(selector)].filter((element): element is A => element instanceof kind)

/** Changes a text only if it is another: what did not change costs no layout, and is not read out again. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text
}
