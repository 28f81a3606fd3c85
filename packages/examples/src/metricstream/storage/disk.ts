/**
 * Leaves room on the disk for deleting: that too is written to the log first, and on a disk that is full to the last byte nothing could make
 * room any more. VictoriaMetrics does the same by `-storage.minFreeDiskSpaceBytes`.
 */
import { statfsSync } from "node:fs"

/** There is no room for events: what is left is for deleting. */
export class DiskFull extends Error {}

/**
 * Bytes that stay free: four times the log of a quiet database, which grows to 4 MiB until it is moved into the database file, and that may have
 * to grow by as much. Of a small file system it is a quarter.
 */
const reserve = 2 ** 24

/**
 * Throws `DiskFull` if the file system of a folder has no room for events. Where the database itself has room, as many bytes as `freeBytes`
 * says, only the log grows: half of the reserve will do.
 */
export const checkDisk = (folder: string, freeBytes: () => number): void => {
  const { bavail, blocks, bsize } = statfsSync(folder)
  const needed = Math.min(reserve, (blocks * bsize) / 4)
  const there = bavail * bsize
  if (there < needed && (there < needed / 2 || freeBytes() < needed / 4)) throw new DiskFull()
}
