/**
 * An HTTP server layer for Effect that stays responsive under load, slow clients and restarts.
 *
 * @since 0.1.0
 */
export * as AdaptiveThrottle from "./AdaptiveThrottle.ts"
export * as Admission from "./Admission.ts"
export * as ClientRetry from "./ClientRetry.ts"
export * as DeadlineHeader from "./DeadlineHeader.ts"
export * as HealthRoutes from "./HealthRoutes.ts"
export * as HttpMetrics from "./HttpMetrics.ts"
export * as JsonBody from "./JsonBody.ts"
export * as LoopPace from "./LoopPace.ts"
export * as MethodNotAllowed from "./MethodNotAllowed.ts"
export * as MultiLoop from "./MultiLoop.ts"
export * as MultiLoopError from "./MultiLoopError.ts"
export * as OverloadOptions from "./OverloadOptions.ts"
export * as Priority from "./Priority.ts"
export * as Problem from "./Problem.ts"
export * as RateLimit from "./RateLimit.ts"
export * as RateLimitShared from "./RateLimitShared.ts"
export * as RequestDeadline from "./RequestDeadline.ts"
export * as RetryBudget from "./RetryBudget.ts"
export * as Server from "./Server.ts"
export * as ServerConfig from "./ServerConfig.ts"
export * as ServerRateLimit from "./ServerRateLimit.ts"
export * as SharedBudget from "./SharedBudget.ts"
