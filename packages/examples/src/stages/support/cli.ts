/** What the commands of the stages have in common. What a flag does not say the environment may. */
import { NodeServices } from "@effect/platform-node"
import { Config, Effect, Layer, Schema } from "effect"
import { CliConfig, CliError, Command, Flag, GlobalFlag } from "effect/cli"

export interface Setting {
  readonly description: string
  readonly minimum: number
  readonly maximum: number
  readonly fallback: number
  /** The environment variable that sets it where the flag does not. */
  readonly variable?: string | undefined
}

const within = (flag: Flag.Flag<number>, { description, fallback, maximum, minimum, variable }: Setting) => {
  const set = variable === undefined ? flag : Flag.withFallbackConfig(flag, Config.Finite(variable))
  return set.pipe(
    Flag.withSchema(Schema.Finite.check(Schema.isBetween({ minimum, maximum }))),
    Flag.withDescription(`${description} (${[variable, fallback].filter((part) => part !== undefined).join("; ")})`),
    Flag.withDefault(fallback)
  )
}

/** A whole number within a range. */
export const integer = (name: string, setting: Setting) => within(Flag.Int(name), setting)

/** Seconds, also parts of one. */
export const seconds = (name: string, setting: Setting) =>
  within(Flag.withMetavar(Flag.Finite(name), "seconds"), setting)

/** Where a stage listens. */
export const port = integer("port", {
  description: "Where to listen; 0 picks a free port",
  minimum: 0,
  maximum: 65_535,
  fallback: 8080,
  variable: "PORT"
})

/** A failure as one line, such as that the port is taken, and not as a stack. */
export const explained = <A, E extends Error, R>(self: Effect.Effect<A, E, R>) =>
  Effect.mapError(self, (cause) => new CliError.UserError({ cause }))

const services = Layer.merge(NodeServices.layer, CliConfig.layer({ builtIns: [GlobalFlag.Help] }))

/** A command as a program: it reads the arguments of the process. */
export const toProgram = <Name extends string, Input, ContextInput, E>(
  command: Command.Command<Name, Input, ContextInput, E, NodeServices.NodeServices>
) => Effect.provide(Command.run(command, { version: "0.1.0" }), services)
