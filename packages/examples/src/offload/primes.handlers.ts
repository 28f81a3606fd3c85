// #region handlers
import type { Handlers } from "@spillway/runtime/OffloadWorker"
import type { Primes } from "./primes.ts"

export const handlers: Handlers<typeof Primes> = {
  count: ({ below }, { signal }) => {
    let count = 0
    for (let n = 2; n < below; n++) {
      if (signal.aborted) return count // nobody waits any more
      if (isPrime(n)) count++
    }
    return count
  }
}
// #endregion

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return true
}
