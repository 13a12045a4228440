// Turns mouse, pen and touch on the picture into strokes, shapes, picks, zoom and pan.

import { clamp, pixels } from "./dom.js";
import { Mask, maskSize } from "./mask.js";
import { Stroke, corners, fillShape, pickColour } from "./strokes.js";

export class Pointer {
  // changed() is called whenever a tool or the mask has changed, released() when a stroke or shape is done, and
  // meant(points, boxed) when a thing has been clicked, drawn over or circled
  constructor(view, changed, released = () => {}) {
    this.view = view;
    this.changed = changed;
    this.released = released;
    this.tool = "brush";
    this.brush = { size: 48, hardness: 0.9, opacity: 1, erase: false };
    this.tolerance = 24;
    this.everywhere = false;
    this.beyond = null; // pixels of the picture, beyond a thing's edge; null: as the server thinks best
    this.meant = () => {};
    this.pointers = new Map();
    const port = view.port;
    port.addEventListener("pointerdown", (event) => this.down(event));
    port.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) port.addEventListener(kind, (event) => this.up(event));
    port.addEventListener("pointerleave", () => view.showRing(null));
    port.addEventListener("contextmenu", (event) => event.preventDefault());
    port.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  // starts an empty mask for a new picture, whose size is `full` and whose display copy is `image`
  begin(image, full) {
    this.mask = new Mask(...maskSize(full));
    this.replace(image);
    const { w, h } = this.mask;
    this.brush.most = Math.max(8, Math.round(Math.min(w, h) / 2));
    this.brush.size = Math.round(Math.max(Math.min(24, this.brush.most), Math.min(w, h) / 10));
    this.pen = null;
    this.refresh();
  }

  // replaces the image under the mask
  replace(image) {
    this.image = image;
    this.rgba = null;
  }

  refresh(box) {
    this.view.paint(this.mask, box);
    this.changed();
  }

  edit(change) {
    change(this.mask);
    this.picked = null;
    this.refresh();
  }

  use(tool) {
    if (tool === "erase") this.brush.erase = true;
    if (tool === "brush") this.brush.erase = false;
    this.tool = tool === "erase" ? "brush" : tool;
    this.picked = null;
    this.view.port.dataset.tool = this.tool;
    this.changed();
  }

  resizeBrush(by) {
    this.brush.size = Math.round(clamp(this.brush.size * by + Math.sign(by - 1), 2, this.brush.most));
    this.changed();
    this.ring();
  }

  ring() {
    const shows = this.tool === "brush" && this.mask && !this.panning;
    this.view.showRing(shows ? this.at : null, this.brush.size, this.brush.erase);
  }

  wheel(event) {
    if (!this.mask) return;
    event.preventDefault();
    if (event.shiftKey) this.view.pan(-event.deltaY - event.deltaX, 0);
    else this.view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), this.view.local(event));
  }

  down(event) {
    if (!this.mask) return;
    this.view.port.focus({ preventScroll: true });
    this.view.port.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.view.local(event));
    event.preventDefault();
    if (this.pointers.size === 2) return this.pinch();
    if (this.pointers.size > 2) return;
    if (this.spaceHeld || event.button === 1 || event.button === 2 || this.tool === "pan") {
      this.panning = true;
      return this.ring();
    }
    [this.flipped, this.boxed] = [event.altKey, event.shiftKey];
    this.start(this.view.place(event), pressure(event));
  }

  start(place, force = 1) {
    if (this.locked) return;
    if (this.tool === "brush") {
      this.stroke = new Stroke(this.mask, { ...this.brush });
      this.last = [...place, force];
      this.refresh(this.stroke.line(this.last, this.last));
    } else if (this.tool === "pick") {
      this.pickAt(place);
    } else {
      this.points = [place];
    }
  }

  move(event) {
    const at = this.view.local(event), before = this.pointers.get(event.pointerId);
    this.at = event.pointerType === "touch" && !before ? null : at;
    this.ring();
    if (!before) return;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    this.pointers.set(event.pointerId, at);
    if (others.length) return this.pinched(before, at, others[0]);
    if (this.panning) return this.view.pan(at[0] - before[0], at[1] - before[1]);
    const events = event.getCoalescedEvents?.() || [];
    for (const e of events.length ? events : [event]) this.drag(this.view.place(e), pressure(e));
  }

  drag(place, force = 1) {
    if (this.stroke) {
      const next = [...place, force];
      this.view.paint(this.mask, this.stroke.line(this.last, next));
      this.last = next;
    } else if (this.points) {
      const thing = this.tool === "thing" && !this.boxed, free = thing || this.tool === "lasso";
      if (free) this.points.push(place);
      else this.points[1] = place;
      this.view.sketch(free || !this.points[1] ? this.points : corners(...this.points), thing);
    }
  }

  // is called when a second finger comes down: drops the stroke of the first one; from then on both zoom and pan
  pinch() {
    this.stroke?.abandon();
    this.stroke = this.points = null;
    this.view.sketch(null);
    this.pinching = true;
    this.refresh();
  }

  pinched(before, at, other) {
    const spread = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
    this.view.zoom(spread(at) / Math.max(1, spread(before)), other);
    this.view.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pointers.size) return;
    if (event.pointerType === "touch") this.at = null;
    if (!this.panning && !this.pinching) this.complete(event.type === "pointercancel");
    this.panning = this.pinching = false;
    this.ring();
  }

  // puts the current stroke or shape into the mask, or drops it
  complete(dropped = false) {
    const { stroke, points } = this;
    let box;
    if (points && this.tool === "thing") {
      this.points = null;
      this.view.sketch(null);
      this.refresh();
      if (!dropped) this.meant(this.boxed && points[1] ? corners(...points) : points, this.boxed && points.length > 1);
      return;
    }
    if (stroke && dropped) stroke.abandon();
    else if (stroke) box = stroke.commit() || undefined;
    else if (points?.length > 1 && !dropped) {
      fillShape(this.mask, this.tool === "lasso" ? points : corners(...points), this.brush);
    }
    this.stroke = this.points = null;
    if (!stroke && !points) return;
    this.view.sketch(null);
    this.refresh(box);
    if (!dropped && (stroke || points.length > 1)) this.released();
  }

  pickAt(place) {
    const { w, h } = this.mask;
    this.rgba ||= pixels(this.image, w, h);
    const edits = this.mask.past.length;
    pickColour(this.mask, this.rgba, ...place, this.tolerance, this.everywhere, this.brush);
    this.picked = place;
    this.pickedSome = this.mask.past.length > edits;
    this.refresh();
  }

  // repeats the last pick with the new tolerance
  repick() {
    if (!this.picked) return;
    if (this.pickedSome) this.mask.undo();
    this.pickAt(this.picked);
  }

  // moves the brush by an arrow key; `press`, by Enter, puts it down or lifts it
  arrow(dx, dy, big) {
    if (!this.mask) return;
    const { w, h } = this.mask, by = (big ? 32 : 8) * Math.max(1, Math.max(w, h) / 1024);
    this.pen ||= [w / 2, h / 2];
    this.pen = [clamp(this.pen[0] + dx * by, 0, w), clamp(this.pen[1] + dy * by, 0, h)];
    if (this.stroke || this.points) this.drag(this.pen);
    this.showPen();
  }

  showPen() {
    this.at = [this.view.x + this.pen[0] * this.view.unit, this.view.y + this.pen[1] * this.view.unit];
    this.view.showRing(this.at, this.tool === "brush" ? this.brush.size : 6, this.brush.erase);
  }

  press() {
    if (!this.mask) return;
    this.pen ||= [this.mask.w / 2, this.mask.h / 2];
    if (this.stroke || this.points) this.complete();
    else {
      this.flipped = this.boxed = false;
      this.start(this.pen);
    }
    this.showPen();
  }
}

function pressure(event) {
  return event.pointerType === "pen" && event.pressure ? 0.35 + 0.65 * event.pressure : 1;
}
