/** `npm run architecture -- <name>`: runs one of the servers until a signal stops it. `settings.ts` lists the environment variables. */
import * as Main from "@spillway/runtime/Main"
import { MultiLoopError } from "@spillway/http/MultiLoopError"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ServeError } from "effect/http/HttpServerError"
import { explain, StartFailed } from "../startup/startFailed.ts"
import { names } from "./settings.ts"
import type { Name } from "./settings.ts"

interface Architecture {
  readonly program: Effect.Effect<unknown, unknown>
}

/** Each is loaded only if it is the one that runs. */
const programs = {
  sequential: () => import("./sequential.ts"),
  "thread-per-request": () => import("./threadPerRequest.ts"),
  "thread-pool": () => import("./threadPool.ts"),
  "event-driven": () => import("./eventDriven.ts"),
  hybrid: () => import("./hybrid.ts"),
  "multi-loop": () => import("./multiLoop.ts")
} as const satisfies Record<Name, () => Promise<Architecture>>

const isName = (text: string | undefined): text is Name => names.some((name) => name === text)

const usage = `Usage: npm run architecture -- ${names.join(" | ")}`

const wrongUsage = Effect.andThen(Console.error(usage), new StartFailed({ exitCode: 2 }))

const name = process.argv[2]

const program = Effect.suspend((): Effect.Effect<unknown, unknown> => {
  if (name === "--help" || name === "-h") return Console.log(usage)
  if (!isName(name)) return wrongUsage
  const load: () => Promise<Architecture> = programs[name]
  return Effect.flatMap(Effect.promise(load), ({ program }) => program)
})

/** One line that says what to change, where that is known. */
const say = (error: unknown): Effect.Effect<void> => {
  if (error instanceof StartFailed) return Effect.void
  if (error instanceof Config.ConfigError || error instanceof ServeError) return Console.error(explain(error))
  return error instanceof MultiLoopError ? Console.error(error.message) : Effect.logError("the server failed", error)
}

program.pipe(
  Effect.catch((error) =>
    Effect.andThen(say(error), error instanceof StartFailed ? error : new StartFailed({ exitCode: 1 }))
  ),
  Main.run
)
