import { Tinypool } from "tinypool"
import { echo } from "../tasks.ts"
import type { Bytes } from "../tasks.ts"

export { burn, echo, meet, nothing, sleep, spin } from "../tasks.ts"

export const move = (payload: { readonly bytes: Bytes }): unknown => Tinypool.move(echo(payload))
