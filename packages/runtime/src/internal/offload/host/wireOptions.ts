/** The options of a pool on their way to the host. */
import { SHARE_ENV } from "node:worker_threads"
import * as Duration from "effect/Duration"
import type { PoolOptions } from "../pool/threadPool.ts"
import type { ThreadsOptions } from "../threads.ts"
import type { WireOptions } from "./protocol.ts"

export const toWire = (options: ThreadsOptions): WireOptions => ({
  ...withoutTimeout(options),
  worker: options.worker.href,
  tasks: options.tasks.map(({ middlewares, name, stream }) => ({ name, stream, middlewares })),
  own: { ...options.own, env: envToWire(options.own.env) },
  drainTimeout: Duration.toMillis(options.drainTimeout)
})

/** That of a call is its caller's affair. */
const withoutTimeout = ({ timeout: _timeout, ...options }: ThreadsOptions) => options

/** `process.env` itself cannot be cloned. */
const envToWire = (env: ThreadsOptions["own"]["env"]): WireOptions["own"]["env"] =>
  env === undefined ? undefined : typeof env === "symbol" ? "share" : { ...env }

export const fromWire = (options: WireOptions): PoolOptions & Pick<ThreadsOptions, "drainTimeout"> => ({
  ...options,
  worker: new URL(options.worker),
  own: { ...options.own, env: options.own.env === "share" ? SHARE_ENV : options.own.env },
  drainTimeout: Duration.millis(options.drainTimeout)
})
