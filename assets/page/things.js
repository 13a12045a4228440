// Asks the server for the outline of the thing that is clicked, drawn over or circled, and puts it into the mask.

import { picture, pixels, say } from "./dom.js";

const CLICK = 6, LOOP = 24; // screen pixels: what is shorter is a click; what is narrower is no loop
const CLOSED = 0.2; // of a line's length: how near its ends are to each other in a loop
const BEYOND = 0.004; // of the long side: how far the server reaches beyond a thing's edge by itself

export class Things {
  constructor(editor) {
    this.editor = editor;
    this.serial = 0;
    this.asked = new Map(); // what the server has not answered yet, by number
    editor.pointer.meant = (points, boxed) => this.ask(points, boxed);
  }

  // returns how far the mask reaches beyond a thing by default, in the picture's pixels
  get beyond() {
    return this.editor.full ? Math.max(2, Math.round(BEYOND * Math.max(...this.editor.full))) : 0;
  }

  // points: in the mask's pixels; boxed: they are the corners of a box
  ask(points, boxed) {
    const { pointer, full, view } = this.editor, { mask } = pointer;
    const kind = boxed ? "loop" : kindOf(points.map(([x, y]) => [x * view.unit, y * view.unit]));
    const own = points.map(([x, y]) => [(x * full[0]) / mask.w, (y * full[1]) / mask.h]);
    const marks = kind === "loop" ? { loop: own } : { line: kind === "click" ? own.slice(0, 1) : own };
    this.send({ mask, marks, erase: pointer.brush.erase !== pointer.flipped });
  }

  send(one) {
    const { mask, marks } = one;
    this.asked.set(++this.serial, one);
    this.editor.root.classList.add("finding");
    this.editor.announce(say("finding"));
    this.editor.trigger("outline", { of: this.serial, size: [mask.w, mask.h], grow: this.editor.pointer.beyond, ...marks });
  }

  // finds the last thing once more, after the slider was moved; not if the mask has been changed since
  again() {
    const { last } = this, { pointer } = this.editor;
    if (!last || last.mask !== pointer.mask || last.edit !== pointer.mask.past.at(-1)) return;
    pointer.edit((mask) => mask.undo());
    this.send(last);
  }

  // is called when no answer will come any more
  dropped() {
    this.asked.clear();
    this.editor.root.classList.remove("finding");
  }

  // puts what the server found into the mask, as one undo step; not into that of another picture
  async arrived({ of, src, box }) {
    const one = this.asked.get(of), { pointer } = this.editor;
    this.asked.delete(of);
    this.editor.root.classList.toggle("finding", this.asked.size > 0);
    if (!src || !one) return;
    const [w, h] = [box[2] - box[0], box[3] - box[1]], rgba = pixels(await picture(src), w, h);
    const { mask, erase } = one, edits = mask.past.at(-1);
    if (pointer.mask !== mask) return;
    mask.edit((data) => {
      for (let y = 0, i = 0; y < h; y++) {
        for (let x = 0; x < w; x++, i++) if (rgba[4 * i] > 127) data[(box[1] + y) * mask.w + box[0] + x] = erase ? 0 : 255;
      }
    });
    one.edit = mask.past.at(-1);
    this.last = one.edit === edits ? null : one;
    pointer.refresh();
    this.editor.announce("");
    if (!erase) pointer.released();
  }
}

// returns whether points on the screen are a click, a line over a thing, or a loop around it
export function kindOf(points) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [w, h] = [Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)];
  if (Math.max(w, h) < CLICK) return "click";
  const between = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const length = points.slice(1).reduce((sum, p, i) => sum + between(points[i], p), 0);
  return Math.min(w, h) >= LOOP && between(points[0], points.at(-1)) <= CLOSED * length ? "loop" : "line";
}
