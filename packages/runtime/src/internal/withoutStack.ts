/**
 * Builds an error without capturing a stack. Capturing is most of the cost of an error (about 1.5 us of 2 us), and the stack of a
 * refusal says nothing that its fields do not: on these paths a refusal must cost less than the work it refuses.
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
