/**
 * What `/sleep` waits for: something behind the server that carries `slots` requests at once, each for the time that it asks for, like a pool
 * of database connections. It is the same in all servers, and the same process.
 *
 * `waiting` more may wait, first come, first served: short enough that a server that lets everything in has no worse to fear than 0.4 s of
 * waiting, where its clients wait for 1 s, and then the pool's refusals. Without that bound whoever has no limit of his own would serve nobody
 * in time. With 100 ms for each it carries 200/s.
 */
export const [slots, waiting] = [20, 80]

/**
 * `maxConcurrent` of our server where everything waits for it; the others have no such limit. A quarter more than the slots, so that none
 * of them stands idle until the next request has come through the door.
 */
export const sleepLimit = 1.25 * slots

interface Caller {
  readonly millis: number
  readonly done: () => void
}

const queue: Array<Caller> = []
let free = slots

const run = ({ done, millis }: Caller): void =>
  void setTimeout(() => {
    const next = queue.shift()
    if (next === undefined) free++
    else run(next)
    done()
  }, millis)

/**
 * Calls back when it is done. `unbounded`: as many may wait as like to. Returns how to leave, which frees a place to wait, but no slot, since what was asked for goes on; or `undefined`
 * if nobody else may wait.
 */
export const ask = (millis: number, done: () => void, unbounded = false): (() => void) | undefined => {
  const caller: Caller = { millis, done }
  if (free > 0) {
    free--
    run(caller)
    return () => {}
  }
  if (!unbounded && queue.length >= waiting) return undefined
  queue.push(caller)
  return () => {
    const index = queue.indexOf(caller)
    if (index !== -1) queue.splice(index, 1)
  }
}
