import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

// What others wrote lies beside the repository where it is built, and not in a user's clone.
const root = new URL("../../../../../shared/conformance/", import.meta.url)

/** The path of a file or folder of `../shared/conformance`, or `undefined` where it is absent. */
export const suitePath = (name: string): string | undefined => {
  const path = fileURLToPath(new URL(name, root))
  return existsSync(path) ? path : undefined
}

/** The cases of a JSON file there; none where it is absent. */
export const readCases = <A>(name: string): ReadonlyArray<A> => {
  const path = suitePath(name)
  return path === undefined ? [] : (JSON.parse(readFileSync(path, "utf8")) as ReadonlyArray<A>)
}

/** To be added to a title: a test that is skipped says why. */
export const orSkipped = (present: boolean): string => (present ? "" : " (skipped: ../shared/conformance is not here)")
