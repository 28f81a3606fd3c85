import * as Problem from "../../Problem.ts"
import type { Excess } from "../../RateLimit.ts"
import type { Fields } from "./fields.ts"

/**
 * Creates what answers refusals. Without the fields that differ from one to the next an answer is encoded once for each set of policies
 * that can refuse together.
 */
export const makeRefusals = <A>(
  encode: (problem: Problem.Problem) => A,
  setFields: (answer: A, fields: Fields) => A
): ((excess: Excess) => A) => {
  const encoded = new Map<string, A>()
  const withoutFields = (excess: Excess): A => encode(Problem.make({ ...Problem.fromError(excess)!, headers: {} }))
  return (excess) => {
    // What is too large for the quota says how large it was, so it is not one of few.
    if (excess.headers["retry-after"] === undefined) return setFields(withoutFields(excess), excess.headers)
    const key = excess.policies.join(" ")
    let answer = encoded.get(key)
    if (answer === undefined) encoded.set(key, (answer = withoutFields(excess)))
    return setFields(answer, excess.headers)
  }
}
