// Holds the mask: one byte per pixel, 255 = repaint, greys = how much may change.  Every edit is one undo step.

import { el, pixels } from "./dom.js";
import { border, boundingBox, flood, grown } from "./morphology.js";

const MOST = 2 ** 22; // pixels: the mask of a picture up to this size has the picture's own resolution
const EDITS = 100, MEMORY = 2 ** 27; // undo steps, and bytes they may take together

// returns [w, h] of a picture's mask: the picture's own size, or scaled down to at most `most` pixels
export function maskSize([w, h], most = MOST) {
  const scale = Math.min(1, Math.sqrt(most / (w * h)));
  return [Math.max(1, Math.round(w * scale)), Math.max(1, Math.round(h * scale))];
}

export class Mask {
  constructor(w, h) {
    this.w = w;
    this.h = h;
    this.data = new Uint8ClampedArray(w * h);
    this.past = [];
    this.future = [];
  }

  get empty() {
    return !this.data.some((v) => v);
  }

  // calls change(data), which writes into the mask, as one undo step
  edit(change) {
    const before = this.data.slice();
    change(this.data);
    this.remember(before);
  }

  // makes everything that differs from `before` one undo step; returns its box, or null if nothing differs
  remember(before) {
    const box = boundingBox(this.w, this.h, (i) => before[i] !== this.data[i]);
    if (!box) return null;
    this.past.push({ box, before: this.cut(before, box), after: this.cut(this.data, box) });
    this.future = [];
    let bytes = this.past.reduce((sum, edit) => sum + 2 * edit.before.length, 0);
    while (this.past.length > EDITS || (bytes > MEMORY && this.past.length > 1)) bytes -= 2 * this.past.shift().before.length;
    return box;
  }

  undo() {
    return this.travel(this.past, this.future, "before");
  }

  redo() {
    return this.travel(this.future, this.past, "after");
  }

  travel(from, to, side) {
    const edit = from.pop();
    if (!edit) return false;
    const [x0, y0, x1, y1] = edit.box;
    for (let y = y0; y < y1; y++) {
      this.data.set(edit[side].subarray((y - y0) * (x1 - x0), (y - y0 + 1) * (x1 - x0)), y * this.w + x0);
    }
    to.push(edit);
    return true;
  }

  cut(data, [x0, y0, x1, y1]) {
    const out = new Uint8ClampedArray((x1 - x0) * (y1 - y0));
    for (let y = y0; y < y1; y++) out.set(data.subarray(y * this.w + x0, y * this.w + x1), (y - y0) * (x1 - x0));
    return out;
  }

  // reads the mask from a grey image of any size
  load(image) {
    const rgba = pixels(image, this.w, this.h);
    this.edit((data) => { for (let i = 0; i < data.length; i++) data[i] = rgba[4 * i]; });
  }

  // returns the mask as a grey canvas of w × h, by default its own size
  canvas(w = this.w, h = this.h) {
    const small = el("canvas", { width: this.w, height: this.h });
    const image = new ImageData(this.w, this.h);
    for (let i = 0; i < this.data.length; i++) {
      image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = this.data[i];
      image.data[4 * i + 3] = 255;
    }
    small.getContext("2d").putImageData(image, 0, 0);
    if (w === this.w && h === this.h) return small;
    const large = el("canvas", { width: w, height: h });
    large.getContext("2d").drawImage(small, 0, 0, w, h);
    return large;
  }

  invert() {
    this.edit((data) => { for (let i = 0; i < data.length; i++) data[i] = 255 - data[i]; });
  }

  fill(value) {
    this.edit((data) => data.fill(value));
  }

  fillHoles() {
    const outside = flood(this.w, this.h, border(this.w, this.h), (i) => this.data[i] < 128);
    this.edit((data) => { for (let i = 0; i < data.length; i++) if (!outside[i] && data[i] < 128) data[i] = 255; });
  }

  // returns a copy of `data`, dilated by this many pixels, or eroded if negative
  grown(data, by) {
    return grown(data, this.w, this.h, by);
  }
}
