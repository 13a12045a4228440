// Hands on the picture: pointers and keys become strokes, shapes, picks, zoom and pan.

class Painter {
  constructor(view, changed) {
    this.view = view;
    this.changed = changed;
    this.tool = "brush";
    this.brush = { size: 48, hardness: 0.9, opacity: 1, erase: false };
    this.tolerance = 24;
    this.everywhere = false;
    this.pointers = new Map();
    const port = view.port;
    port.addEventListener("pointerdown", (event) => this.down(event));
    port.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) port.addEventListener(kind, (event) => this.up(event));
    port.addEventListener("pointerleave", () => view.showRing(null));
    port.addEventListener("contextmenu", (event) => event.preventDefault());
    port.addEventListener("wheel", (event) => {
      if (!this.mask) return;
      event.preventDefault();
      if (event.shiftKey) view.pan(-event.deltaY - event.deltaX, 0);
      else view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), view.local(event));
    }, { passive: false });
  }

  // a new picture: RGBA bytes for picking, an empty mask
  begin(image, w, h) {
    this.mask = new Mask(w, h);
    this.rgba = null;
    this.image = image;
    this.brush.size = Math.round(Math.max(24, Math.min(w, h) / 10));
    this.pen = null;
    this.refresh();
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
    this.brush.size = Math.round(clamp(this.brush.size * by + Math.sign(by - 1), 2, 400));
    this.changed();
    this.ring();
  }

  ring() {
    const shows = this.tool === "brush" && this.mask && !this.panning;
    this.view.showRing(shows ? this.at : null, this.brush.size, this.brush.erase);
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
    this.start(this.view.place(event), this.pressure(event));
  }

  start(place, pressure = 1) {
    if (this.locked) return;
    if (this.tool === "brush") {
      this.stroke = new Stroke(this.mask, { ...this.brush });
      this.last = [...place, pressure];
      this.refresh(this.stroke.line(this.last, this.last));
    } else if (this.tool === "pick") {
      this.pickAt(place);
    } else {
      this.points = [place];
    }
  }

  pressure(event) {
    return event.pointerType === "pen" && event.pressure ? 0.35 + 0.65 * event.pressure : 1;
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
    for (const e of events.length ? events : [event]) this.drag(this.view.place(e), this.pressure(e));
  }

  drag(place, pressure = 1) {
    if (this.stroke) {
      const next = [...place, pressure];
      this.view.paint(this.mask, this.stroke.line(this.last, next));
      this.last = next;
    } else if (this.points) {
      if (this.tool === "lasso") this.points.push(place);
      else this.points[1] = place;
      this.view.sketch(this.tool === "lasso" || !this.points[1] ? this.points : corners(...this.points));
    }
  }
}
