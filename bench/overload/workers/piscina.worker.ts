import { burn as work } from "../work.ts"

export const burn = ({ millis }: { readonly millis: number }): number => work(millis)
