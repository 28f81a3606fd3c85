/** Puts the metrics of several loops together, as Prometheus text (version 0.0.4 of its exposition format). */

/** The text of one source, every series of it labelled with its loop unless it has such a label already. */
export const labelled = (text: string, loop: string): string => merge([{ loop, text }])

export interface Source {
  readonly loop: string
  readonly text: string
}

interface Family {
  readonly head: ReadonlyArray<string>
  readonly samples: Array<string>
}

const nameOf = (line: string): string => /^[A-Za-z_:][\w:]*/.exec(line)?.[0] ?? ""

const withLoop = (sample: string, loop: string): string => {
  const name = nameOf(sample)
  const rest = sample.slice(name.length)
  if (!rest.startsWith("{")) return `${name}{loop="${loop}"}${rest}`
  return /[{,]loop="/.test(rest) ? sample : `${name}{loop="${loop}",${rest.slice(1)}`
}

/** All samples of a family must follow its one TYPE line. */
export const merge = (sources: ReadonlyArray<Source>): string => {
  const families = new Map<string, Family>()
  for (const { loop, text } of sources) {
    let head: Array<string> = []
    let family: Family | undefined
    for (const line of text.split("\n")) {
      if (line === "") continue
      if (line.startsWith("# HELP ")) head = [line]
      else if (line.startsWith("# TYPE ")) {
        const name = nameOf(line.slice("# TYPE ".length))
        family = families.get(name) ?? { head: [...head, line], samples: [] }
        families.set(name, family)
        head = []
      } else if (family !== undefined) family.samples.push(withLoop(line, loop))
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples }) => [...head, ...samples])
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`
}
