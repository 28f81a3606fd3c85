/** Rounds in which each candidate has its turn, every round beginning with another one. */
import { watchSteal } from "../support/machine.ts"
import { settlesWithin } from "./pool.ts"
import type { Candidate, Pool } from "./pool.ts"

export interface Samples<A> {
  readonly name: string
  readonly rounds: ReadonlyArray<A>
}

export interface Interleaved<A> {
  /** Of the CPU time, by the host, meanwhile. */
  readonly stealPercent: number | undefined
  readonly results: ReadonlyArray<Samples<A>>
}

export const interleave = async <C extends { readonly name: string }, A>(
  candidates: ReadonlyArray<C>,
  rounds: number,
  measure: (candidate: C, round: number) => Promise<A>
): Promise<Interleaved<A>> => {
  const steal = watchSteal()
  const samples = new Map<string, Array<A>>(candidates.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const first = round % candidates.length
    for (const candidate of [...candidates.slice(first), ...candidates.slice(0, first)]) {
      globalThis.gc?.()
      samples.get(candidate.name)!.push(await measure(candidate, round))
    }
  }
  return { stealPercent: steal(), results: [...samples].map(([name, rounds]) => ({ name, rounds })) }
}

/** Milliseconds for all that is measured on one pool. */
const patience = 60_000

/** Uses a pool of its own. One that loses tasks fails the scenario, instead of having it wait for ever. */
export const withPool = async <A>(
  candidate: Candidate,
  threads: number,
  use: (pool: Pool) => Promise<A>
): Promise<A> => {
  const pool = await candidate.make(threads)
  try {
    const used = use(pool)
    if (!(await settlesWithin(used, patience))) throw new Error(`${candidate.name}: its tasks gave no answer`)
    return await used
  } finally {
    await pool.close()
  }
}
