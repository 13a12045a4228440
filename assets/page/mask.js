// The mask: one byte a pixel, 255 = repaint, greys = how much may change.  Every edit is one undo step.

class Mask {
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

  // change(data) writes into the mask
  edit(change) {
    const before = this.data.slice();
    change(this.data);
    this.remember(before);
  }

  remember(before) {
    const box = this.changed(before);
    if (!box) return;
    this.past.push({ box, before: this.cut(before, box), after: this.cut(this.data, box) });
    if (this.past.length > 100) this.past.shift();
    this.future = [];
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

  changed(before) {
    let [x0, y0, x1, y1] = [this.w, this.h, 0, 0];
    for (let y = 0, i = 0; y < this.h; y++) {
      for (let x = 0; x < this.w; x++, i++) {
        if (before[i] === this.data[i]) continue;
        if (x < x0) x0 = x;
        if (x >= x1) x1 = x + 1;
        if (y < y0) y0 = y;
        y1 = y + 1;
      }
    }
    return x1 ? [x0, y0, x1, y1] : null;
  }

  cut(data, [x0, y0, x1, y1]) {
    const out = new Uint8ClampedArray((x1 - x0) * (y1 - y0));
    for (let y = y0; y < y1; y++) out.set(data.subarray(y * this.w + x0, y * this.w + x1), (y - y0) * (x1 - x0));
    return out;
  }

  // from an image: its alpha where it has any, its brightness otherwise
  load(image, channel = "auto") {
    const rgba = pixels(image, this.w, this.h);
    let transparent = false;
    for (let i = 3; i < rgba.length && channel === "auto"; i += 4) transparent ||= rgba[i] < 255;
    this.edit((data) => {
      for (let i = 0; i < data.length; i++) {
        const grey = (rgba[4 * i] * 299 + rgba[4 * i + 1] * 587 + rgba[4 * i + 2] * 114) / 1000;
        data[i] = transparent ? (grey * rgba[4 * i + 3]) / 255 : grey;
      }
    });
  }

  // grey PNG; w × h when given, else the mask's own size
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

  // every pixel within `by` of the mask joins it; negative takes them away.  Levels inside stay.
  grown(data, by) {
    const inside = (i) => (data[i] >= 128) === by > 0;
    const far = distances(this.w, this.h, inside);
    return data.map((v, i) => {
      const reach = clamp(Math.abs(by) - Math.sqrt(far[i]) + 0.5, 0, 1) * 255;
      return by > 0 ? Math.max(v, reach) : Math.min(v, 255 - reach);
    });
  }
}
