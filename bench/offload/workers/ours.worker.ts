import { serve } from "@spillway/runtime/OffloadWorker"
import type { Tasks } from "../contract.ts"
import { echo, plain } from "../tasks.ts"
import type { Bytes } from "../tasks.ts"

serve<typeof Tasks>({
  ...plain,
  echo: (payload) => echo(payload as { readonly bytes: Bytes }),
  move: ({ bytes }, { transfer }) => transfer(bytes, [bytes.buffer])
})
