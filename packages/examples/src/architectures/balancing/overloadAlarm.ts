/** Tells when most workers are busy: what comes next is a queue, and then refusals. */

/** The share of busy workers above which it is told, and the share below which it may be told again. */
const [tellAbove, calmBelow] = [0.8, 0.6]

/** Makes a function that is asked whenever a worker starts, and says when it is time for a warning: once for each overload. */
export const makeOverloadAlarm = (workers: number) => {
  let told = false
  return (busy: number): boolean => {
    const share = busy / workers
    if (share < calmBelow) told = false
    if (told || share <= tellAbove) return false
    return (told = true)
  }
}
