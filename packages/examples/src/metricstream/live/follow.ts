/** What a viewer reads, as a stream. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Feed, Viewer } from "./feed.ts"
import { rhythm } from "./figures.ts"
import { heartbeat } from "./serverSentEvents.ts"

/** After how long without anything else to say a viewer is sent a comment. */
const heartbeatInterval = Duration.millis(rhythm.heartbeat)

/** What there is for a viewer, once there is something. Done when the feed has ended. */
const next = (feed: Feed, viewer: Viewer): Effect.Effect<string, Cause.Done> =>
  Effect.suspend(() => {
    const text = feed.take(viewer)
    if (text !== undefined) return Effect.succeed(text)
    if (feed.ended) return Cause.done()
    return Effect.flatMap(somethingNew(feed, viewer), (isNew) =>
      isNew ? next(feed, viewer) : Effect.succeed(heartbeat)
    )
  })

/** Waits until there is something for a viewer, or for long enough to say that there is nothing. */
const somethingNew = (feed: Feed, viewer: Viewer): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const wake = () => resume(Effect.succeed(true))
    if (feed.isReady(viewer)) return wake()
    viewer.wake = wake
    return Effect.sync(() => (viewer.wake = undefined))
  }).pipe(Effect.timeoutOrElse({ duration: heartbeatInterval, orElse: () => Effect.succeed(false) }))

/** Everything that there is for a viewer, as soon as it asks, until the feed ends. While it does not ask, nothing is kept for it. */
export const follow = (feed: Feed, viewer: Viewer): Stream.Stream<string> => Stream.fromEffectRepeat(next(feed, viewer))
