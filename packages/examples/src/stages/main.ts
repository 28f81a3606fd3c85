/**
 * `npm run stage -- 1`: runs one of the three learning stages.
 *
 * | stage | what one learns |
 * |---|---|
 * | `stage-1` | why a server that reads one client at a time freezes |
 * | `stage-2` | how one thread serves many slow clients at once, and holds little of what they send |
 * | `stage-3` | how bytes become typed events, and everything else an answer |
 */
import * as Main from "@spillway/runtime/Main"
import { Command } from "effect/cli"
import * as Stage1 from "./stage-1.ts"
import * as Stage2 from "./stage-2.ts"
import * as Stage3 from "./stage-3.ts"
import * as Cli from "./support/cli.ts"

const command = Command.make("stage").pipe(
  Command.withDescription("Three stages for those who learn why servers freeze, and what to do about it"),
  Command.withSubcommands([Stage1.command, Stage2.command, Stage3.command])
)

export const program = Cli.toProgram(command)

if (import.meta.main) Main.run(program)
