/** Options with every default filled in, checked, and with times in milliseconds. */
import { availableParallelism } from "node:os"
import * as Duration from "effect/Duration"
import type { Options, ThreadsOptions } from "../../OffloadOptions.ts"
import { defaults } from "../../OffloadOptions.ts"
import type { CallOptions } from "./executor.ts"
import { resolveShedding } from "../shedding.ts"
import type { TaskDefinition } from "./taskDefinition.ts"
import type { ThreadsOptions as ResolvedThreads } from "./threads.ts"

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

export const resolve = (where: string, id: string, options: Options) => {
  const check = checks(where)
  return {
    name: options.name ?? id,
    workers: check.integer("workers", options.workers ?? availableParallelism(), 1),
    concurrency: check.integer("concurrency", options.concurrency ?? defaults.concurrency, 1),
    maxQueued: options.maxQueued ?? defaults.maxQueued,
    maxWait: millis(options.maxWait ?? defaults.maxWait),
    ...resolveShedding(options),
    timeout: check.positive("timeout", millis(options.timeout ?? defaults.timeout))
  }
}

export const resolveThreads = (
  id: string,
  tasks: ReadonlyArray<TaskDefinition>,
  options: ThreadsOptions
): ResolvedThreads => {
  const { workers, ...bounds } = resolve("layerThreads", id, options)
  const check = checks("layerThreads")
  if (options.workers !== undefined && options.maxWorkers !== undefined && options.workers > options.maxWorkers) {
    throw new RangeError(
      `Offload.layerThreads: workers must be at most maxWorkers (${options.maxWorkers}), got ${workers}`
    )
  }
  const minWorkers = check.integer(
    "minWorkers",
    options.minWorkers ?? Math.min(workers, options.maxWorkers ?? workers),
    1
  )
  const maxWorkers = options.maxWorkers ?? Math.max(workers, minWorkers)
  return {
    ...bounds,
    tasks,
    worker: options.worker,
    data: options.data,
    minWorkers,
    maxWorkers: check.integer("maxWorkers", maxWorkers, minWorkers),
    idleTimeout: check.positive("idleTimeout", millis(options.idleTimeout ?? defaults.idleTimeout)),
    prefetch: check.integer("prefetch", options.prefetch ?? defaults.prefetch, 0),
    maxTasks: check.integerOrInfinity("maxTasks", options.maxTasks ?? defaults.maxTasks, 1),
    maxHeap: check.positive("maxHeap", options.maxHeap ?? defaults.maxHeap) * 1024 * 1024,
    spares: check.integer("spares", options.spares ?? defaults.spares, 0),
    killGrace: check.notNegative("killGrace", millis(options.killGrace ?? defaults.killGrace)),
    startTimeout: check.positive("startTimeout", millis(options.startTimeout ?? defaults.startTimeout)),
    maxStartAttempts: check.integer("maxStartAttempts", options.maxStartAttempts ?? defaults.maxStartAttempts, 1),
    resourceLimits: options.resourceLimits,
    own: { argv: options.argv?.slice(), env: options.env, execArgv: options.execArgv?.slice() },
    drainTimeout: Duration.fromInputUnsafe(options.drainTimeout ?? defaults.drainTimeout)
  }
}

/** The most that a 32 bit cell of shared memory counts. */
const maxBufferSize = 2 ** 31 - 1

/** How many items of a stream may be under way. */
export const resolveBufferSize = (
  { name }: TaskDefinition,
  { bufferSize = defaults.bufferSize }: CallOptions
): number => {
  if (Number.isInteger(bufferSize) && bufferSize >= 1 && bufferSize <= maxBufferSize) return bufferSize
  throw new RangeError(`Offload.${name}: bufferSize must be an integer from 1 to ${maxBufferSize}, got ${bufferSize}`)
}

/** Milliseconds that a task may run, where its call says so. */
export const resolveTimeout = ({ name }: TaskDefinition, { timeout }: CallOptions, otherwise: number): number =>
  timeout === undefined ? otherwise : checks(name).positive("timeout", millis(timeout))

const checks = (where: string) => {
  const integer = (option: string, value: number, least: number): number => {
    if (Number.isInteger(value) && value >= least) return value
    throw new RangeError(`Offload.${where}: ${option} must be an integer >= ${least}, got ${value}`)
  }
  return {
    integer,
    integerOrInfinity: (option: string, value: number, least: number): number =>
      value === Infinity ? value : integer(option, value, least),
    notNegative: (option: string, value: number): number => {
      if (value >= 0) return value
      throw new RangeError(`Offload.${where}: ${option} must be 0 or above, got ${value}`)
    },
    positive: (option: string, value: number): number => {
      if (value > 0) return value
      throw new RangeError(`Offload.${where}: ${option} must be above 0, got ${value}`)
    }
  }
}
