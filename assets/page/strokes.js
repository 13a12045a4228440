// Draws into the mask: a brush stroke, a polygon, a pick by colour.

import { clamp, el } from "./dom.js";
import { flood } from "./morphology.js";

// Draws one stroke.  Where it crosses itself it does not get stronger: `ink` is the strongest touch of each pixel so
// far, and opacity is applied to it once.
export class Stroke {
  // brush: size in pixels of the mask, hardness and opacity 0 … 1, erase
  constructor(mask, brush) {
    this.mask = mask;
    this.brush = brush;
    this.base = mask.data.slice();
    this.ink = new Uint8ClampedArray(mask.data.length);
  }

  // draws a soft line from a to b, both [x, y, pressure]; returns the box that it touches
  line(a, b) {
    const { mask, brush } = this;
    const radius = (brush.size / 2) * b[2], inner = Math.min(radius * brush.hardness, radius - 1);
    const [dx, dy] = [b[0] - a[0], b[1] - a[1]], length = dx * dx + dy * dy || 1;
    const box = boxAround(mask, [a, b], radius + 1);
    for (let y = box[1]; y < box[3]; y++) {
      for (let x = box[0]; x < box[2]; x++) {
        const px = x + 0.5 - a[0], py = y + 0.5 - a[1], along = clamp((px * dx + py * dy) / length, 0, 1);
        const d = Math.hypot(px - along * dx, py - along * dy);
        const s = clamp((radius - d) / (radius - inner), 0, 1), i = y * mask.w + x;
        const ink = 255 * s * s * (3 - 2 * s);
        if (ink > this.ink[i]) this.ink[i] = ink;
        const touch = (this.ink[i] * brush.opacity) / 255;
        mask.data[i] = brush.erase ? this.base[i] * (1 - touch) : Math.max(this.base[i], 255 * touch);
      }
    }
    return box;
  }

  // makes the stroke one undo step
  commit() {
    return this.mask.remember(this.base);
  }

  abandon() {
    this.mask.data.set(this.base);
  }
}

function boxAround(mask, points, by) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  return [Math.max(0, Math.floor(Math.min(...xs) - by)), Math.max(0, Math.floor(Math.min(...ys) - by)),
    Math.min(mask.w, Math.ceil(Math.max(...xs) + by)), Math.min(mask.h, Math.ceil(Math.max(...ys) + by))];
}

// fills a polygon, with a smooth edge
export function fillShape(mask, points, brush) {
  const canvas = el("canvas", { width: mask.w, height: mask.h });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fill("evenodd");
  const rgba = context.getImageData(0, 0, mask.w, mask.h).data;
  mask.edit((data) => stamp(data, (i) => rgba[4 * i + 3], brush));
}

// adds ink(i), 0 … 255, to every pixel with the brush's opacity, or erases it
export function stamp(data, ink, brush) {
  for (let i = 0; i < data.length; i++) {
    const touch = (ink(i) * brush.opacity) / 255;
    if (touch) data[i] = brush.erase ? data[i] * (1 - touch) : Math.max(data[i], 255 * touch);
  }
}

export const corners = ([x0, y0], [x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

// paints everything that looks like the pixel at (x, y): each channel differs by `tolerance` at most
export function pickColour(mask, rgba, x, y, tolerance, everywhere, brush) {
  const at = (clamp(Math.floor(y), 0, mask.h - 1) * mask.w + clamp(Math.floor(x), 0, mask.w - 1)) * 4;
  const near = (i) => Math.abs(rgba[4 * i] - rgba[at]) <= tolerance
    && Math.abs(rgba[4 * i + 1] - rgba[at + 1]) <= tolerance && Math.abs(rgba[4 * i + 2] - rgba[at + 2]) <= tolerance;
  const chosen = everywhere ? null : flood(mask.w, mask.h, [at / 4], near);
  mask.edit((data) => stamp(data, (i) => ((chosen ? chosen[i] : near(i)) ? 255 : 0), brush));
}
