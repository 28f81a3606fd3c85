/**
 * Builds an error without capturing a stack: capturing is most of the cost of an error, and the stack of a refusal says nothing
 * that its fields do not.
 */
export const withoutStack = <E>(make: () => E): E => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}
