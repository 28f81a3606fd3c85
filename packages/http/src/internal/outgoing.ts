import type { Server } from "node:http"
import type { Incoming } from "./exchange.ts"
import { http } from "./nodeHttp.ts"
import { isLarge, writeInSlices } from "./slices.ts"

/** The response class given to node. */
export class Outgoing extends http.ServerResponse<Incoming> {
  /** The whole body is known, though not written yet. */
  isWhole = false

  override end(body?: unknown, encoding?: unknown, callback?: unknown): this {
    const end = super.end as (body?: unknown, encoding?: unknown, callback?: unknown) => this
    this.isWhole = true
    if (!isLarge(body) || !this.headersSent) return end.call(this, body, encoding, callback)
    const done = typeof encoding === "function" ? encoding : callback
    writeInSlices(this, body, encoding, () => end.call(this, done))
    return this
  }
}

/** A server of node's with our classes. */
export type NodeServer = Server<typeof Incoming, typeof Outgoing>
