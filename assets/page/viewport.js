// Shows the picture in its window: zoom, pan, the mask's overlay, and the ring that shows the brush.

import { fine } from "./detail.js";
import { clamp, el, say } from "./dom.js";

export const COLOURS = ["#ff3b6b", "#00c2ff", "#ffd400", "#2fe36c"];

export class Viewport {
  // insets() returns the pixels that the toolbars cover: [left, top, right, bottom]
  constructor(insets) {
    this.insets = insets;
    this.photo = el("img.photo", { alt: "", draggable: "false" });
    this.shown = el("img.shown", { alt: "", draggable: "false", hidden: true });
    this.base = el("img.base", { alt: "", draggable: "false", hidden: true });
    this.fine = fine();
    this.fineResult = fine();
    this.over = el("div.over", {}, this.shown, this.fineResult);
    this.overlay = el("canvas.overlay");
    this.draft = el("canvas.draft");
    this.world = el("div.world", {}, this.photo, this.fine, this.base, this.over, this.overlay, this.draft);
    this.ring = el("div.ring", { hidden: true });
    this.port = el("div.port", { tabindex: "0", role: "application", "aria-label": say("canvas"),
      "aria-describedby": "inpaint-keys" }, this.world, this.ring);
    this.colour = COLOURS[0];
    this.style = "tint";
    this.scale = this.detail = 1;
    [this.x, this.y] = [0, 0];
    new ResizeObserver(() => this.size && this.fit()).observe(this.port);
  }

  // sets the size of the picture that is shown; the mask keeps its own resolution
  resize(w, h) {
    if (this.size && this.size[0] === w && this.size[1] === h) return;
    this.size = [w, h];
    this.world.style.width = `${w}px`;
    this.world.style.height = `${h}px`;
    this.fit();
  }

  fit() {
    const { clientWidth: W, clientHeight: H } = this.port, [w, h] = this.size;
    if (!W || !H) return;
    const [left, top, right, bottom] = this.insets();
    this.home = Math.max(0.01, Math.min((W - left - right) / w, (H - top - bottom) / h, 4));
    this.scale = this.home;
    [this.x, this.y] = [(W + left - right - w * this.scale) / 2, (H + top - bottom - h * this.scale) / 2];
    this.apply();
  }

  apply() {
    const dots = window.devicePixelRatio || 1, whole = (n) => Math.round(n * dots) / dots; // else 100 % would be blurred
    this.world.style.transform = `translate(${whole(this.x)}px, ${whole(this.y)}px) scale(${this.scale})`;
    this.world.classList.toggle("grid", this.level >= 300);
    this.world.style.setProperty("--px", `${1 / this.scale}px`);
    this.port.dispatchEvent(new Event("viewchange"));
  }

  // returns the zoom in per cent, 100 = one screen pixel per pixel of the original; `detail` is how many pixels of the
  // original one pixel of the display copy stands for
  get level() {
    return (100 * this.scale * (window.devicePixelRatio || 1)) / this.detail;
  }

  zoom(factor, at) {
    const most = Math.max(this.home * 16, 16 * this.detail);
    const next = clamp(this.scale * factor, this.home * 0.5, most), by = next / this.scale;
    const [cx, cy] = at || [this.port.clientWidth / 2, this.port.clientHeight / 2];
    [this.x, this.y, this.scale] = [cx - (cx - this.x) * by, cy - (cy - this.y) * by, next];
    this.apply();
  }

  // one pixel of the picture for one of the screen, around the middle of what is seen; from there back to all of it
  actual() {
    if (Math.round(this.level) === 100) this.fit();
    else this.zoom(100 / this.level);
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  // returns a pointer event's position in the mask's pixels
  place(event) {
    const box = this.port.getBoundingClientRect(), [w, h] = this.size;
    const x = (event.clientX - box.left - this.x) / this.scale, y = (event.clientY - box.top - this.y) / this.scale;
    return [(x * this.overlay.width) / w, (y * this.overlay.height) / h];
  }

  local(event) {
    const box = this.port.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // returns how many screen pixels one pixel of the mask takes
  get unit() {
    return (this.size[0] / this.overlay.width) * this.scale;
  }

  // shows a ring of `size` mask pixels around a point of the window
  showRing(at, size, erase) {
    this.ring.hidden = !at;
    if (!at) return;
    const d = Math.max(4, size * this.unit);
    this.ring.classList.toggle("erase", erase);
    this.ring.style.cssText = `width:${d}px;height:${d}px;transform:translate(${at[0] - d / 2}px,${at[1] - d / 2}px)`;
  }

  // shows `src` over the photo: only where the picture at `area` is opaque, or all of it
  show(src, area = null) {
    this.shown.src = src;
    this.shown.hidden = false;
    this.fineResult.hidden = true;
    this.port.dispatchEvent(new Event("viewchange"));
    this.shown.style.maskImage = area ? `url("${area}")` : "";
  }

  // shows a result on the left of the line, where the photo is otherwise
  left(src) {
    if (src) this.base.src = src;
    this.base.hidden = !src;
  }

  // draws the mask in this box: a tint by level, and an outline in two tones that is visible on any picture
  paint(mask, box = [0, 0, mask.w, mask.h]) {
    const { w, h, data } = mask;
    if (this.overlay.width !== w || this.overlay.height !== h) {
      Object.assign(this.overlay, { width: w, height: h });
      Object.assign(this.draft, { width: w, height: h });
    }
    const t = Math.max(1, Math.round(1 / this.unit)); // the outline's width: about a pixel of the screen
    const [x0, y0, x1, y1] = [Math.max(0, box[0] - t), Math.max(0, box[1] - t), Math.min(w, box[2] + t), Math.min(h, box[3] + t)];
    if (x1 <= x0 || y1 <= y0) return;
    const image = new ImageData(x1 - x0, y1 - y0), out = image.data;
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(this.colour.slice(i, i + 2), 16));
    const tint = this.style === "tint" ? 0.5 : 0, lines = this.style !== "hidden";
    for (let y = y0, o = 0; y < y1; y++) {
      for (let x = x0; x < x1; x++, o += 4) {
        const i = y * w + x, v = data[i];
        if (!v) continue;
        const edge = lines && v >= 128 && ((x >= t && data[i - t] < 128) || (x < w - t && data[i + t] < 128)
          || (y >= t && data[i - t * w] < 128) || (y < h - t && data[i + t * w] < 128));
        if (edge) {
          out[o] = out[o + 1] = out[o + 2] = (Math.floor((x + y) / t) >> 2) & 1 ? 255 : 30;
          out[o + 3] = 230;
        } else {
          out[o] = r; out[o + 1] = g; out[o + 2] = b;
          out[o + 3] = v * tint;
        }
      }
    }
    this.overlay.getContext("2d").putImageData(image, x0, y0);
  }

  // shows the outline of the shape that is being drawn, or the line if it is open
  sketch(points, open = false) {
    const context = this.draft.getContext("2d");
    context.clearRect(0, 0, this.draft.width, this.draft.height);
    if (!points || points.length < 2) return;
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (!open) {
      context.closePath();
      context.fillStyle = `${this.colour}55`;
      context.fill();
    } else {
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = this.colour;
      context.lineWidth = 6 / this.unit;
      context.stroke();
    }
    context.lineWidth = 1.5 / this.unit;
    context.strokeStyle = "#fff";
    context.stroke();
  }
}
