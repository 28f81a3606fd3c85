/**
 * Bounded queues, deadlines, structured tasks and worker threads for Effect programs.
 *
 * @since 0.1.0
 */
export * as AdaptiveLimit from "./AdaptiveLimit.ts"
export * as AdmissionQueue from "./AdmissionQueue.ts"
export * as Bulkhead from "./Bulkhead.ts"
export * as CoDel from "./CoDel.ts"
export * as Deadline from "./Deadline.ts"
export * as Drain from "./Drain.ts"
export * as EventLoop from "./EventLoop.ts"
export * as Health from "./Health.ts"
export * as LoadSignals from "./LoadSignals.ts"
export * as Main from "./Main.ts"
export * as Offload from "./Offload.ts"
export * as OffloadEffectWorker from "./OffloadEffectWorker.ts"
export * as OffloadError from "./OffloadError.ts"
export * as OffloadHost from "./OffloadHost.ts"
export * as OffloadTask from "./OffloadTask.ts"
export * as OffloadWorker from "./OffloadWorker.ts"
export * as RuntimeMetrics from "./RuntimeMetrics.ts"
export * as TaskGroup from "./TaskGroup.ts"
