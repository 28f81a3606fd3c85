/** Tasks on the caller's own thread, behind the same bounds and with the same errors: for tests. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { makeBounded } from "./bounded.ts"
import type { BoundedOptions } from "./bounded.ts"
import type { Executor } from "./executor.ts"
import { fromContext, fromFunctions, makeRunners } from "./inlineHandlers.ts"
import type { InlineFunction } from "./inlineHandlers.ts"
import { runInline } from "./inlineTask.ts"
import type { TaskDefinition } from "./taskDefinition.ts"

export type InlineHandlers = Readonly<Record<string, InlineFunction>> | Layer.Layer<never, unknown, unknown>

export const makeInline = Effect.fnUntraced(function* (
  tasks: ReadonlyArray<TaskDefinition>,
  handlers: InlineHandlers,
  options: Omit<BoundedOptions, "drainTimeout">
): Effect.fn.Return<Executor, unknown, unknown> {
  const context = yield* Effect.context<Scope.Scope>()
  const make = Layer.isLayer(handlers)
    ? fromContext(yield* Layer.build(handlers as Layer.Layer<never, unknown, unknown>))
    : fromFunctions(handlers as Readonly<Record<string, InlineFunction>>, context)
  const runners = makeRunners(tasks, make)
  return yield* makeBounded(
    { ...options, drainTimeout: Duration.zero },
    {
      run: (call) =>
        Effect.flatMap(call.request.task.codec.encodePayload(call.request.payload), (encoded) =>
          runInline(call, encoded, runners[call.request.task.index]!)
        ),
      decodeItems: ({ codec }, items) => codec.decodeItems(items)
    }
  )
})
