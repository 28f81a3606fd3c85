/** A program of several loops, in a process of its own. Prints a line of JSON for each thing that a test waits for. */
import { MultiLoop } from "@spillway/http"
import { Main } from "@spillway/runtime"
import { Effect, Layer } from "effect"

interface Given extends Omit<MultiLoop.Options, "entry"> {
  /** Whether `launch` runs the loops, which says nothing about their address. */
  readonly launch?: boolean
}

const { launch, ...given } = JSON.parse(process.argv[2] ?? "{}") as Given
const options = { entry: new URL("./loop.ts", import.meta.url), ...given }
const print = (value: unknown) => Effect.sync(() => process.stdout.write(`${JSON.stringify(value)}\n`))

const started = Layer.effectDiscard(
  Effect.flatMap(MultiLoop.MultiLoop, ({ status }) => Effect.flatMap(status, ({ addresses }) => print(addresses[0])))
)

if (launch) MultiLoop.launch(options).pipe(Main.run)
else started.pipe(Layer.provide(MultiLoop.layer(options)), Layer.launch, Main.run)
