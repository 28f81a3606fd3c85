/** Two event loops on one port. `kill -HUP` restarts them one after the other, without a failed request. */
// #region main
import * as MultiLoop from "@spillway/http/MultiLoop"
import * as Main from "@spillway/runtime/Main"

/** Loops as many as cores if `loops` is left away. */
export const program = MultiLoop.launch({ entry: new URL("./loop.ts", import.meta.url), loops: 2 })

program.pipe(Main.run)
// #endregion
