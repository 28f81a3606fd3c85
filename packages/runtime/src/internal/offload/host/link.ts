/** The way from a loop to the host of its process. */
import type { MessagePort } from "node:worker_threads"
import * as Context from "effect/Context"

export interface Link {
  /** The loop's end of the channel. Only requests for pools go over it; each pool then has a channel of its own. */
  readonly port: MessagePort
}

export const CurrentLink: Context.Reference<Link | undefined> = Context.Reference<Link | undefined>(
  "@spillway/runtime/OffloadHost/CurrentLink",
  { defaultValue: () => undefined }
)
