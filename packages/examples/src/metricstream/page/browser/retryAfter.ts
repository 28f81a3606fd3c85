/** For how many milliseconds a refusal asks to be left alone, 0 if it does not say. Ours says it in seconds. */
export const retryAfterOf = ({ headers }: Response): number => (Number(headers.get("retry-after")) || 0) * 1000
