/**
 * An HTTP server layer for Effect that stays responsive under load, slow clients and restarts.
 *
 * @since 0.1.0
 */
export * as Admission from "./Admission.ts"
export * as HealthRoutes from "./HealthRoutes.ts"
export * as HttpMetrics from "./HttpMetrics.ts"
export * as JsonBody from "./JsonBody.ts"
export * as MethodNotAllowed from "./MethodNotAllowed.ts"
export * as MultiLoop from "./MultiLoop.ts"
export * as MultiLoopError from "./MultiLoopError.ts"
export * as Problem from "./Problem.ts"
export * as RateLimit from "./RateLimit.ts"
export * as RequestDeadline from "./RequestDeadline.ts"
export * as Server from "./Server.ts"
export * as ServerConfig from "./ServerConfig.ts"
export * as SharedBudget from "./SharedBudget.ts"
