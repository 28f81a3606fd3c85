/** A program of several loops, in a process of its own. Prints a line of JSON for each thing that a test waits for. */
import { MultiLoop } from "@spillway/http"
import { Main } from "@spillway/runtime"
import { Effect, Layer } from "effect"

const options = JSON.parse(process.argv[2] ?? "{}") as Omit<MultiLoop.Options, "entry">
const print = (value: unknown) => Effect.sync(() => process.stdout.write(`${JSON.stringify(value)}\n`))

const started = Layer.effectDiscard(
  Effect.flatMap(MultiLoop.MultiLoop, ({ status }) => Effect.flatMap(status, ({ addresses }) => print(addresses[0])))
)
const loops = MultiLoop.layer({ entry: new URL("./loop.ts", import.meta.url), ...options })

started.pipe(Layer.provide(loops), Layer.launch, Main.run)
