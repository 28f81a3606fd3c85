/** How full a pool is, in memory that its host writes and its loops read: so a loop need not ask before it refuses. */
import { priorities } from "../pool/threadPool.ts"

const Cell = { Queued: 0, Running: 1, RetryAfter: 2, RefusesFrom: 3, WrittenAt: 4, Saturation: 5 } as const
const cells = Object.keys(Cell).length

/** How long a loop takes it for granted that a pool is still full, in milliseconds: then it asks again. */
const staleAfter = 20

export class PoolLoad {
  readonly buffer: SharedArrayBuffer
  readonly #cells: Float64Array<SharedArrayBuffer>

  constructor(buffer = new SharedArrayBuffer(cells * Float64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer
    this.#cells = new Float64Array(buffer)
  }

  get queued(): number {
    return this.#cells[Cell.Queued]!
  }

  get running(): number {
    return this.#cells[Cell.Running]!
  }

  /** Milliseconds. */
  get retryAfter(): number {
    return this.#cells[Cell.RetryAfter]!
  }

  /** From 0 to 1. */
  get saturation(): number {
    return this.#cells[Cell.Saturation]!
  }

  /** Whether a task of a priority has just been, or would have been, refused for want of a place. */
  refuses(priority: number, now: number): boolean {
    return priority >= this.#cells[Cell.RefusesFrom]! && now - this.#cells[Cell.WrittenAt]! < staleAfter
  }

  /** `refusesFrom` is the most urgent of the priorities for which there is no place, or `undefined` while there is one for all. */
  write(
    { queued, retryAfter, running, saturation }: Pick<PoolLoad, "queued" | "running" | "retryAfter" | "saturation">,
    refusesFrom: number | undefined,
    now: number
  ): void {
    this.#cells[Cell.Queued] = queued
    this.#cells[Cell.Running] = running
    this.#cells[Cell.RetryAfter] = retryAfter
    this.#cells[Cell.Saturation] = saturation
    this.#cells[Cell.RefusesFrom] = refusesFrom ?? priorities
    this.#cells[Cell.WrittenAt] = now
  }
}
