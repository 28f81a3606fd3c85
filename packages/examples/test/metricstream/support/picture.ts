import { Effect } from "effect"
import type { Browser } from "playwright-core"

/** A part of a picture, in its pixels. */
export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Painted {
  readonly width: number
  readonly height: number
  /** How many pixels of each part have about the colour. */
  readonly counts: ReadonlyArray<number>
}

/** Decodes a PNG, in a page of its own, and counts the pixels that have about a colour. */
export const paintedIn = (browser: Browser, png: Uint8Array, color: string, boxes: ReadonlyArray<Box>) =>
  Effect.acquireUseRelease(
    Effect.promise(() => browser.newPage()),
    (page) =>
      Effect.promise(() =>
        page.evaluate<Painted>(`(async () => {
          const image = new Image()
          image.src = "data:image/png;base64,${Buffer.from(png).toString("base64")}"
          await image.decode()
          const { naturalHeight: height, naturalWidth: width } = image
          const context = Object.assign(document.createElement("canvas"), { height, width })
            .getContext("2d", { willReadFrequently: true })
          context.fillStyle = ${JSON.stringify(color)}
          context.fillRect(0, 0, 1, 1)
          const wanted = context.getImageData(0, 0, 1, 1).data
          context.drawImage(image, 0, 0)
          const counts = ${JSON.stringify(boxes)}.map((box) => {
            const { data } = context.getImageData(box.x, box.y, box.width, box.height)
            let count = 0
            for (let at = 0; at < data.length; at += 4) {
              let distance = 0
              for (let part = 0; part < 3; part++) distance += Math.abs(data[at + part] - wanted[part])
              if (distance < 60) count++
            }
            return count
          })
          return { width, height, counts }
        })()`)
      ),
    (page) => Effect.promise(() => page.close())
  )
