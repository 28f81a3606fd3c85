/** How long measurements take, in seconds of wall time, beyond what is measured. */
import { capacitySeconds, capacityWarmUp } from "./settings.ts"

/** What `warmed` puts before a load. */
export const warmedSeconds = 0.8

/** Both processes start and end; ours starts for 0.7 s, Fastify for 0.3 s, the generator for 0.5 s. */
const around = 0.8

/** A load of so many seconds on a new server, which has clients that wait for so long after its end. */
export const loadSeconds = (seconds: number, patienceMillis: number): number => around + seconds + patienceMillis / 1000

export const capacityLoadSeconds = loadSeconds(capacityWarmUp + capacitySeconds, 0)
