// Beyond the single pointer: two fingers, picking by colour, and painting with the keyboard alone.

Object.assign(Painter.prototype, {
  // two fingers: what the first one began is taken back, then both zoom and pan
  pinch() {
    this.stroke?.abandon();
    this.stroke = this.points = null;
    this.view.sketch(null);
    this.pinching = true;
    this.refresh();
  },

  pinched(before, at, other) {
    const spread = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
    this.view.zoom(spread(at) / Math.max(1, spread(before)), other);
    this.view.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
  },

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.pointers.size) return;
    if (event.pointerType === "touch") this.at = null;
    if (!this.panning && !this.pinching) this.finish(event.type === "pointercancel");
    this.panning = this.pinching = false;
    this.ring();
  },

  finish(abandoned = false) {
    if (this.stroke) {
      if (abandoned) this.stroke.abandon();
      else this.stroke.commit();
    } else if (this.points?.length > 1 && !abandoned) {
      fillShape(this.mask, this.tool === "lasso" ? this.points : corners(...this.points), this.brush);
    }
    const worked = this.stroke || this.points;
    this.stroke = this.points = null;
    this.view.sketch(null);
    if (worked) this.refresh();
  },

  pickAt(place) {
    const { w, h } = this.mask;
    this.rgba ||= pixels(this.image, w, h);
    const edits = this.mask.past.length;
    pickColour(this.mask, this.rgba, ...place, this.tolerance, this.everywhere, this.brush);
    this.picked = place;
    this.pickedSome = this.mask.past.length > edits;
    this.refresh();
  },

  // the last pick again, with another tolerance
  repick() {
    if (!this.picked) return;
    if (this.pickedSome) this.mask.undo();
    this.pickAt(this.picked);
  },

  // without a pointer: arrows move the brush, Enter puts it down and lifts it
  arrow(dx, dy, big) {
    if (!this.mask) return;
    const [w, h] = [this.mask.w, this.mask.h], by = big ? 32 : 8;
    this.pen ||= [w / 2, h / 2];
    this.pen = [clamp(this.pen[0] + dx * by, 0, w), clamp(this.pen[1] + dy * by, 0, h)];
    if (this.stroke || this.points) this.drag(this.pen);
    this.showPen();
  },

  showPen() {
    const unit = (this.view.size[0] / this.mask.w) * this.view.scale;
    this.at = [this.view.x + this.pen[0] * unit, this.view.y + this.pen[1] * unit];
    this.view.showRing(this.at, this.tool === "brush" ? this.brush.size : 6, this.brush.erase);
  },

  press() {
    if (!this.mask) return;
    this.pen ||= [this.mask.w / 2, this.mask.h / 2];
    if (this.stroke || this.points) this.finish();
    else this.start(this.pen);
    this.showPen();
  },
});
