/**
 * What the algorithms of `AdaptiveLimit` take.
 *
 * @since 0.1.0
 */

/**
 * The range in which an algorithm looks for the limit, and where it starts.
 *
 * @category options
 * @since 0.1.0
 */
export interface Bounds {
  /**
   * The lowest limit: an integer from 1. Also with every request failing this many may run, which is how it is noticed that they
   * succeed again.
   *
   * @default 1
   */
  readonly min?: number | undefined
  /**
   * The highest limit: a finite integer from `min`.
   *
   * @default 1024
   */
  readonly max?: number | undefined
  /**
   * The limit before anything is known: an integer between `min` and `max`.
   *
   * @default 20, or the nearest to it that is between `min` and `max`; `max` for `knee`
   */
  readonly initial?: number | undefined
}

/**
 * Options of `fixed`.
 *
 * @category options
 * @since 0.1.0
 */
export interface FixedOptions {
  /** The limit: a finite integer from 1. */
  readonly limit: number
}

/**
 * Options of `aimd`.
 *
 * @category options
 * @since 0.1.0
 */
export interface AimdOptions extends Bounds {
  /**
   * What the limit is multiplied with after a window with a drop: above 0 and below 1.
   *
   * @default 0.9
   */
  readonly backoff?: number | undefined
}

/**
 * Options of `vegas`.
 *
 * @category options
 * @since 0.1.0
 */
export interface VegasOptions extends Bounds {
  /**
   * How often the latency without a queue is measured anew: after 0.5 to 1 times this many windows for each permit of the limit. A
   * number from 1, or `Infinity` for never.
   *
   * @default 30
   */
  readonly probeEvery?: number | undefined
  /**
   * Where the pseudo-random spread of the probes starts: an integer. Servers that must not probe at the same time take different
   * ones.
   *
   * @default 1
   */
  readonly seed?: number | undefined
}

/**
 * Options of `gradient2`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Gradient2Options extends Bounds {
  /**
   * How many times the long-term latency a window may have before the limit falls: a finite number from 1.
   *
   * @default 1.5
   */
  readonly tolerance?: number | undefined
  /**
   * The share of a new value in the limit, above 0 and at most 1.
   *
   * @default 0.2
   */
  readonly smoothing?: number | undefined
  /**
   * Requests that may stand in a queue beyond the limit: what the limit grows by while latency is as usual. A finite number from 1.
   *
   * @default 4
   */
  readonly queueSize?: number | undefined
  /**
   * The windows that the long-term latency is the mean of: an integer from 10.
   *
   * @default 600
   */
  readonly longWindow?: number | undefined
  /**
   * What the limit is multiplied with after a window with a drop: above 0 and below 1.
   *
   * @default 0.9
   */
  readonly backoff?: number | undefined
}

/**
 * Options of `gradient`.
 *
 * @category options
 * @since 0.1.0
 */
export interface GradientOptions extends Bounds {
  /**
   * How much slower than the fastest a window may be before the limit falls, as a fraction of it: a finite number from 0.
   *
   * @default 0.25
   */
  readonly buffer?: number | undefined
  /**
   * The time between two measurements of the latency without a queue, in milliseconds: above 0; `Infinity` measures once, and after
   * five windows at the lowest limit.
   *
   * @default 60000
   */
  readonly measureEvery?: number | undefined
  /**
   * How many requests such a measurement takes: an integer from 1.
   *
   * @default 50
   */
  readonly measureSamples?: number | undefined
  /**
   * The limit during a measurement: an integer from 1. It is raised to `min` and cut at the present limit.
   *
   * @default 3
   */
  readonly measureLimit?: number | undefined
  /**
   * The spread of `measureEvery`, as a fraction of it that is added at random: from 0 to 1.
   *
   * @default 0.15
   */
  readonly jitter?: number | undefined
  /**
   * What the limit is multiplied with after a window with a drop: above 0 and below 1.
   *
   * @default 0.9
   */
  readonly backoff?: number | undefined
  /**
   * Where the pseudo-random jitter starts: an integer. Servers that must not measure at the same time take different ones.
   *
   * @default 1
   */
  readonly seed?: number | undefined
}

/**
 * Options of `knee`.
 *
 * @category options
 * @since 0.1.0
 */
export interface KneeOptions extends Bounds {
  /**
   * How much more must be done for a higher limit to be worth it: the share of its growth by which the throughput has to grow.
   * Above 0 and below 1. Higher values give lower limits and less latency, lower ones the last percent of throughput.
   *
   * @default 0.25
   */
  readonly gain?: number | undefined
  /**
   * The share of drops that is taken for the usual background of failures, from 0 and below 0.5. Fewer count only as throughput
   * that is missing; more lower the limit at once.
   *
   * @default 0.05
   */
  readonly tolerance?: number | undefined
  /**
   * How many requests one measurement of the throughput takes at most: an integer from 1. A limit below 25 takes 8 for each
   * permit. Fewer find the knee sooner and miss it by more.
   *
   * @default 200
   */
  readonly measureSamples?: number | undefined
  /**
   * How long in milliseconds the effects of a new limit are waited for at most: a number from 0. It has to be longer than the
   * longest requests that hold many permits, or a limit that starves them looks as good as one that does not. `0` waits for
   * nothing, `Infinity` always long enough.
   *
   * @default 10000
   */
  readonly maxSettle?: number | undefined
}
