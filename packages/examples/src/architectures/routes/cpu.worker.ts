/** A thread that computes. It loads nothing of Effect. */
import { serve } from "@spillway/runtime/OffloadWorker"
import { burn } from "./burn.ts"
import type { Cpu, modes } from "./cpu.ts"

const after: Record<(typeof modes)[number], () => void> = {
  ok: () => {},
  throw: () => {
    throw new Error("the task failed, as it was told to")
  },
  exit: () => process.exit(7),
  oom: () => {
    const hoard: Array<Array<number>> = []
    for (;;) hoard.push(Array.from({ length: 100_000 }, Math.random))
  },
  loop: () => {
    for (;;);
  }
}

serve<typeof Cpu>({
  burn: ({ millis, mode }) => {
    burn(millis)
    after[mode]()
  }
})
