/** How times look on the charts: the reader's own time zone, 24 hours. */

const day = 86_400_000
const withSeconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })
const withMinutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" })
const dayAndMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" })

/** A time below an axis whose labels are so far apart, in milliseconds. */
export const formatTick = (time: number, distance: number): string => {
  const date = new Date(time)
  if (distance >= day || (date.getHours() === 0 && date.getMinutes() === 0 && distance >= 3_600_000)) {
    return dayAndMonth.format(date)
  }
  return (distance < 60_000 ? withSeconds : withMinutes).format(date)
}

/** A time on its own, of a chart that shows so much time, in milliseconds. */
export const formatTime = (time: number, span: number): string => {
  const text = (span < 12 * 3_600_000 ? withSeconds : withMinutes).format(time)
  return span < day ? text : `${dayAndMonth.format(time)}, ${text}`
}
