import workerpool from "workerpool"
import { echo, plain } from "../tasks.ts"
import type { Bytes } from "../tasks.ts"

const move = (payload: { readonly bytes: Bytes }) => {
  const bytes = echo(payload)
  return new workerpool.Transfer(bytes, [bytes.buffer])
}

workerpool.worker({ ...plain, move })
