/** Sockets that a supervisor holds for this process: `sd_listen_fds(3)` of systemd, which others follow. */

/** Standard input, output and error come before them. */
const firstFd = 3

/**
 * The descriptor of an inherited socket, `undefined` if this process was given none: the first one (`true`), or the one of that name in
 * `LISTEN_FDNAMES`. Throws if others were given but not that one.
 */
export const inheritedFd = (
  inherit: boolean | string,
  { env, pid }: Pick<NodeJS.Process, "env" | "pid"> = process
): number | undefined => {
  if (inherit === false) return undefined
  const count = Number(env["LISTEN_FDS"] ?? 0)
  // Those of a parent are not ours, though its environment is.
  if (!(Number.isInteger(count) && count > 0) || Number(env["LISTEN_PID"]) !== pid) return undefined
  if (inherit === true) return firstFd
  const index = (env["LISTEN_FDNAMES"] ?? "").split(":").slice(0, count).indexOf(inherit)
  if (index === -1) throw new Error(`no inherited socket is named "${inherit}" in LISTEN_FDNAMES`)
  return firstFd + index
}
