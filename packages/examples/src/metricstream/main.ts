/** `npm start`: runs MetricStream until a signal stops it. `--help` says what may be set. */
import * as Main from "@spillway/runtime/Main"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { StartFailed } from "../startup/startFailed.ts"
import { parse } from "./help.ts"
import { explain } from "./startup.ts"

const command = parse(process.argv.slice(2))

/** Loaded when it is needed: what only prints something is there at once. */
const serve = Effect.flatMap(
  Effect.promise(() => import("./app.ts")),
  ({ app }) => Layer.launch(app)
).pipe(Effect.catch((error) => Effect.andThen(Console.error(explain(error)), new StartFailed({ exitCode: 1 }))))

const program = () => {
  if ("print" in command) return Console.log(command.print)
  if ("usage" in command) return Effect.andThen(Console.error(command.usage), new StartFailed({ exitCode: 2 }))
  // A flag is another way to set its variable, also for the workers and the sampler.
  Object.assign(process.env, command.run)
  return serve
}

Main.run(Effect.suspend<void, StartFailed, never>(program))
