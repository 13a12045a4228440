// The stage: puts the parts together and obeys the server's messages.

class Stage {
  constructor(root) {
    this.root = root;
    this.view = new View();
    this.painter = new Painter(this.view, () => this.update());
    this.opening = new Opening(root, (text, bad) => this.announce(text, bad), () => this.busy(true));
    this.compare = new Compare(this.view);
    this.progress = progressBar();
    this.status = el("p.status", { role: "status", "aria-live": "polite" });
    this.menu = maskMenu(this.painter, {
      load: (file) => this.loadMask(file), alpha: () => this.loadAlpha(), save: () => this.saveMask(),
      hasAlpha: () => !!this.alpha });
    this.tools = toolbar(this.painter, this.menu);
    this.options = optionsBar(this.painter);
    this.shelf = shelf(this);
    this.corner = this.cornerBar();
    this.rescue = button("quiet", "check", "use_preview", () => { this.start(); trigger("rescue"); }, true);
    root.append(el("div.table", {}, this.view.port, welcome(this.opening), this.tools, this.corner, this.options, this.progress),
      this.shelf, el("div.row.told", {}, this.status, this.rescue), el("p.hide", { id: "inpaint-keys" }, say("keys")));
    this.mode("empty");
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keyup", (event) => { if (event.code === "Space") { this.painter.spaceHeld = false; root.classList.remove("hand"); } });
  }

  cornerBar() {
    const level = el("output");
    const bar = el("div.corner", { role: "toolbar", "aria-label": say("view") },
      this.back = button("tool", "back", "picture_back", () => this.act("back")),
      this.forward = button("tool", "forward", "picture_forward", () => this.act("forward")),
      button("tool", "open", "choose", () => this.opening.choose()), el("hr"),
      button("tool", "eye", "mask_look", () => this.look()),
      button("tool", "minus", "zoom_out", () => this.view.zoom(1 / 1.25)), level,
      button("tool", "plus", "zoom_in", () => this.view.zoom(1.25)),
      button("tool", "fit", "fit", () => this.view.fit()));
    this.view.port.addEventListener("viewchange", () => { level.textContent = `${Math.round((100 * this.view.scale) / this.view.home)}%`; });
    arrowKeys(bar);
    return bar;
  }

  mode(name) {
    this.root.dataset.mode = name;
    const desk = this.root.closest("#desk");
    desk?.classList.toggle("running", name === "run");
    desk?.classList.toggle("has-picture", name !== "empty");
    this.painter.locked = this.shelf.inert = name === "run";
    if (name !== "result") this.compare.show(false);
    if (name === "paint" || name === "empty") { this.shelf.hidden = true; this.branch = null; }
    if (name !== "run") this.progress.hidden = true;
    this.look(name === "paint" ? "tint" : "outline");
  }

  update() {
    for (const part of [this.tools, this.options, this.menu]) part.update();
    const { stroke, points } = this.painter;
    if ((stroke || points) && this.view.style !== "tint") this.look("tint");
  }

  look(style) {
    const order = ["tint", "outline", "hidden"];
    this.view.style = style || order[(order.indexOf(this.view.style) + 1) % 3];
    if (this.painter.mask) this.view.paint(this.painter.mask);
  }

  announce(text, bad = false) {
    this.status.textContent = text;
    this.status.classList.toggle("bad", bad);
    if (bad) this.busy(false);
  }

  busy(on) {
    this.root.classList.toggle("busy", on);
    if (on) this.announce(say("opening"));
  }

  act(what, more = {}) {
    trigger("act", { do: what, index: this.shelf.message?.chosen ?? 0, ...more });
  }

  // what the run button sends: the mask, and the step to branch from
  collect() {
    if (this.root.dataset.mode === "run") return "{}";
    const mask = this.painter.mask && !this.painter.mask.empty ? this.painter.mask.canvas().toDataURL("image/png") : null;
    this.announce("");
    if (this.root.dataset.mode !== "empty") this.start();
    return JSON.stringify({ mask, branch: this.branch ?? null, chosen: this.shelf.message?.chosen ?? 0 });
  }

  start() {
    this.before = this.root.dataset.mode;
    this.fresh = true;
    this.root.dataset.previews = 0;
    this.announce("");
    this.mode("run");
    this.progress.set(null, say("starting"));
    this.root.scrollIntoView({ block: "nearest" });
  }
}
