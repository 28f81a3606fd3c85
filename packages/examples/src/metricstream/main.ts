/** `npm start`: runs MetricStream until a signal stops it. `config.ts` lists the environment variables. */
import * as Main from "@spillway/runtime/Main"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { app } from "./app.ts"
import { explain, StartFailed } from "./startup.ts"

Layer.launch(app).pipe(
  Effect.catch((error) => Effect.andThen(Console.error(explain(error)), new StartFailed())),
  Main.run
)
