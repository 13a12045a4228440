// Builds the mask editor from its parts, keeps its mode (empty, paint, run, result, stopped), and sends its events.

import { watchConnection } from "./connection.js";
import { button, download, el, picture, say } from "./dom.js";
import { Detail } from "./detail.js";
import { Draft } from "./draft.js";
import { handle, paint, shape } from "./messages.js";
import { Pointer } from "./pointer.js";
import { Compare, progressBar, results } from "./results.js";
import { keySheet, shortcuts } from "./shortcuts.js";
import { Strip } from "./strip.js";
import { Things } from "./things.js";
import { keptMenu, maskMenu, optionsBar, toolbar, viewBar } from "./toolbar.js";
import { Upload, sent, welcome } from "./upload.js";
import { Viewport } from "./viewport.js";

const PATIENCE = 60_000; // milliseconds after Cancel without an answer from the server

export class MaskEditor {
  // gradio: {props, trigger(event, data), upload(file)}
  constructor(root, gradio) {
    this.root = root;
    this.draft = new Draft();
    this.gradio = gradio;
    this.trigger = gradio.trigger;
    const announce = (text, bad) => this.announce(text, bad);
    this.view = new Viewport(() => this.insets());
    this.pointer = new Pointer(this.view, () => this.update(), () => this.released());
    this.things = new Things(this);
    this.upload = new Upload(root, gradio, announce, () => this.busy(true));
    this.compare = new Compare(this.view);
    this.detail = new Detail(this);
    this.progress = progressBar();
    this.menu = maskMenu(this.pointer, { load: (file) => this.loadMask(file), alpha: () => this.loadAlpha(),
      save: () => this.saveMask(), hasAlpha: () => !!this.alpha });
    this.tools = toolbar(this.pointer, this.menu);
    this.options = optionsBar(this);
    this.corner = viewBar(this);
    this.run = { run: 0, frames: 0, branches: false }; // the last one
    this.strip = new Strip((item) => this.choose(item), () => this.leave());
    this.results = results(this);
    root.append(el("div.table", {}, this.view.port, welcome(this.upload, gradio.props.examples, keptMenu(this)), this.tools, this.corner,
      this.options, this.progress), this.below(), el("p.hide", { id: "inpaint-keys" }, say("keys")));
    this.sheet = keySheet(root);
    this.mode("empty");
    shortcuts(this);
    watchConnection(this);
    this.restore();
    document.addEventListener("click", (event) => event.target.closest?.("#cancel") && this.cancelling());
    document.addEventListener("input", (event) => {
      unmarked(event.target.closest?.(".wrong"));
      this.typed(event.target);
      // a seed that was typed or pasted is to be used, so "new seed" is switched off; Gradio has no event for pasting
      if (event.target.closest?.("#seed")) document.querySelector("#fresh input:checked")?.click();
    });
    document.addEventListener("change", (event) => event.target.closest?.("#task") && this.update());
  }

  // builds the rows under the picture; their height never changes, so that nothing moves when a result appears
  below() {
    const { thumbs, film, report, details, actions } = this.results;
    this.about = el("p.about");
    this.back = button("link", null, "undelete", () => this.undelete(), true);
    this.back.hidden = true;
    this.status = el("p.status", { role: "status", "aria-live": "polite" });
    const rescue = button("quiet", "check", "use_preview", () => { this.start(); this.trigger("rescue"); }, true);
    rescue.classList.add("rescue");
    return el("div.below", {}, el("div.row.above", {}, el("div.row.file", {}, this.about, keptMenu(this)), thumbs, film),
      el("div.row.outcome", {}, el("div.words", {}, this.status, this.back, report, details), rescue, actions));
  }

  // pixels that the bars cover: left, top, right, bottom; where they stand beside the picture, it has all the room
  insets() {
    const [port, tools, corner, options] = [this.view.port, this.tools, this.corner, this.options].map((part) => part.getBoundingClientRect());
    const gap = 10;
    if (getComputedStyle(this.tools).position === "static") return [0, 0, 0, 0];
    return [tools.width ? tools.right - port.left + gap : gap, corner.height ? corner.bottom - port.top + gap : gap, gap,
      (options.height ? port.bottom - options.top : 0) + gap];
  }

  // restores what was open before the page was reloaded
  async restore() {
    const old = await this.draft.found();
    if (old && this.current === "empty") this.sendAgain(old, say("back"));
  }

  // the server has forgotten this visitor, since it was started anew or the tab slept for long
  async recover() {
    const { record } = this.draft, { mask } = this.pointer;
    if (!this.full || !(record.file || record.example)) return;
    const painted = mask.empty ? null : await new Promise((done) => mask.canvas().toBlob(done));
    this.sendAgain({ ...record, settings: this.draft.settings, mask: painted }, say("recovered"));
  }

  // `then` is announced once the picture is open
  sendAgain(old, then) {
    this.restoring = old;
    this.regained = then;
    if (old.example) this.upload.example(old.example, old.settings);
    else this.upload.send(new File([old.file], old.name, { type: old.file.type }), old.settings);
  }

  // is called when a picture has been opened; puts back its mask from before
  async opened() {
    const { restoring } = this;
    this.restoring = null;
    if (!restoring) return;
    if (restoring.mask) {
      const url = URL.createObjectURL(restoring.mask);
      this.pointer.mask.load(await picture(url));
      this.pointer.refresh();
      URL.revokeObjectURL(url);
    }
    this.announce(this.regained);
    if (restoring.key) this.act("recall", { key: restoring.key });
  }

  // is called with the values of all settings, and the ids of their elements, whenever one of them changes
  changed(values, ids) {
    Object.assign(this, { values, ids });
    if (this.current !== "empty") this.draft.settings = values; // without a picture there is no draft
  }

  // keeps what is typed while the server is away, too: until it loads the page anew, Gradio passes no changes on
  typed(field) {
    const at = this.ids?.findIndex((id) => field.closest?.(`#${id}`)) ?? -1;
    if (at < 0) return;
    const number = typeof this.values[at] === "number";
    const value = field.type === "checkbox" ? field.checked : number ? Number(field.value) : field.value;
    this.changed(this.values.with(at, value), this.ids);
  }

  // stores the mask, once nothing has been painted for a moment
  keepMask() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const { mask } = this.pointer;
      if (mask && !mask.empty) mask.canvas().toBlob((blob) => this.draft.keep({ mask: blob }));
      else this.draft.keep({ mask: null });
    }, 700);
  }

  get current() {
    return this.root.dataset.mode;
  }

  mode(name) {
    this.root.dataset.mode = name;
    const workspace = this.root.closest("#workspace");
    workspace?.classList.toggle("running", name === "run");
    workspace?.classList.toggle("has-picture", name !== "empty");
    this.pointer.locked = name === "run";
    if (name !== "result") this.compare.show(false);
    if (name === "paint" || name === "empty") this.branch = null;
    if (name !== "run") { this.progress.hidden = true; clearTimeout(this.waiting); }
    this.look(name === "paint" ? "tint" : "outline");
    this.hint();
  }

  update() {
    for (const part of [this.tools, this.options, this.menu]) part.update();
    const { stroke, points } = this.pointer;
    if ((stroke || points) && this.view.style !== "tint") this.look("tint");
    this.hint();
    if (this.current !== "empty" && !stroke && !points) this.keepMask();
  }

  // shows how to begin, until something is painted
  hint() {
    this.status.dataset.hint = this.current === "paint" && !this.pointer.mask?.past.length ? say("hint_start") : "";
  }

  look(style) {
    const order = ["tint", "outline", "hidden"];
    this.view.style = style || order[(order.indexOf(this.view.style) + 1) % 3];
    if (this.pointer.mask) this.view.paint(this.pointer.mask);
  }

  // a result has been deleted: it can be brought back, by the link or by Ctrl+Z until something else has been done
  deletedOne([id]) {
    this.deleted = id ? { id, edit: this.pointer.mask.past.at(-1) } : null;
  }

  // brings the result deleted last back; returns false if something else has been done since
  undelete(byKey = false) {
    if (!this.deleted || (byKey && this.deleted.edit !== this.pointer.mask.past.at(-1))) return false;
    this.act("undelete", { id: this.deleted.id });
    this.deleted = null;
    return true;
  }

  announce(text, bad = false) {
    this.back.hidden = text !== say("deleted");
    this.status.textContent = text;
    this.status.classList.toggle("bad", bad);
    if (!bad) return;
    this.restoring = null;
    this.busy(false);
  }

  // marks a setting's field as wrong and shows the sentence beside it
  fault(field, sentence) {
    const node = document.querySelector(`#option-${field}, #${field}`)?.closest(".block");
    if (!node || !document.querySelector("#panel")?.contains(node)) return;
    unmarked(node);
    node.classList.add("wrong");
    node.append(el("p.why", {}, sentence));
    node.querySelector("input, textarea, select")?.setAttribute("aria-invalid", "true");
  }

  busy(on) {
    this.root.classList.toggle("busy", on);
    if (on) this.announce(say("opening"));
  }

  // whether the task chosen in the panel is Remove
  get removing() {
    return document.querySelector("#task input:checked")?.value === "remove";
  }

  // whether a stroke is to be erased as soon as the brush is lifted: a choice that only the task Remove offers
  get erasing() {
    return this.removing && this.options.onRelease();
  }

  // a stroke or a shape has been put into the mask
  released() {
    if (!this.erasing || this.pointer.brush.erase || this.pointer.mask.empty) return;
    document.querySelector("#run")?.click();
  }

  // makes the result the picture at once, so that the next stroke erases the next thing
  take() {
    this.pointer.locked = true; // until the picture is there: a stroke begun meanwhile would be lost
    this.act("keep", { keep_mask: false, erased: true });
  }

  // shows the picture without the result as long as it is held
  original(on) {
    this.root.classList.toggle("original", on && !this.view.shown.hidden);
  }

  // copies the chosen result as a PNG; the browser wants to be asked while the key or button is pressed
  copy() {
    if (this.current !== "result") return;
    if (!navigator.clipboard?.write || !window.ClipboardItem) return this.announce(say("no_clipboard"), true);
    this.announce(say("copying"));
    const file = new Promise((resolve) => { this.clipping = resolve; });
    this.act("clip");
    navigator.clipboard.write([new ClipboardItem({ "image/png": file })]).then(
      () => this.announce(say("copied")), () => this.announce(say("no_clipboard"), true));
  }

  act(what, more = {}) {
    this.trigger("act", { do: what, id: this.chosen?.id ?? null, ...more });
  }

  // returns what the run button sends, as JSON: the mask and the step to branch from; the arguments are as for `changed`
  collect(values, ids) {
    this.changed(values, ids);
    document.querySelectorAll("#panel .wrong").forEach(unmarked);
    if (this.current === "run") return "{}";
    const { mask } = this.pointer;
    const packed = mask && !mask.empty ? mask.canvas().toDataURL("image/png") : null;
    this.announce("");
    const asked = JSON.stringify({ mask: packed, branch: this.branch ?? null });
    if (this.current !== "empty") this.start();
    return asked;
  }

  start() {
    this.before = this.current;
    this.fresh = true;
    this.area = null;
    this.root.dataset.previews = 0;
    this.announce("");
    this.heard = performance.now();
    this.mode("run");
    this.progress.set(null, say("starting"));
    this.root.scrollIntoView({ block: "nearest" });
  }

  cancelling() {
    if (this.current !== "run") return;
    this.progress.set(null, say("stopping"));
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.failed(say("no_answer")), PATIENCE);
  }

  // goes back to the state before a run, when Gradio refuses it, the connection breaks or no answer comes
  failed(sentence = say("not_taken")) {
    this.busy(false);
    this.things.dropped();
    if (this.current === "run") {
      if (this.before === "result" && this.chosen) this.showResult(this.chosen);
      else paint(this);
    }
    this.announce(sentence, true);
  }

  receive(message) {
    this.heard = performance.now();
    this.turn = (this.turn || Promise.resolve()).then(() => handle(this, message)).catch((error) => console.error(error));
  }

  // item: one of the strip, with its picture
  showResult(item) {
    this.chosen = item;
    this.view.show(item.src);
    this.mode("result");
    this.results.show(item, this.run, this.base);
    this.showStrip();
    this.compare.show(!this.root.classList.contains("stretched"));
  }

  // shows a result of the strip; its picture is fetched if it is not here yet
  async choose(item) {
    if (this.current === "run") return;
    this.wished = item.id;
    if (!item.src) return this.act("choose", { id: item.id });
    this.announce("");
    await shape(this, item.src);
    if (this.wished === item.id && this.current !== "run") this.showResult(item);
  }

  // back to the picture; the results stay in the strip
  leave() {
    if (this.current !== "run" && this.current !== "empty") paint(this);
  }

  star() {
    this.chosen.starred = !this.chosen.starred;
    this.act("star", { on: this.chosen.starred });
    this.showResult(this.chosen);
  }

  // puts the chosen result on the left of the line, to compare others with it; once more, and the photo is there again
  setBase() {
    this.base = this.base === this.chosen ? null : this.chosen;
    this.view.left(this.base?.src);
    this.showResult(this.chosen);
  }

  // drops the results with these ids
  forget(gone = []) {
    this.strip.remove(gone);
    if (this.base && !this.strip.of(this.base.id)) {
      this.base = null;
      this.view.left(null);
    }
    this.showStrip();
  }

  showStrip() {
    this.strip.update(this.view.photo.src, this.chosen, this.base);
  }

  scrub(index, last) {
    this.wanted = last ? null : index;
    if (last) return this.showResult(this.chosen);
    this.compare.show(false);
    if (this.frames.has(index)) return this.view.show(this.frames.get(index), this.area);
    this.trigger("scrub", { index });
  }

  branchFrom(index) {
    this.branch = index;
    this.announce(say("branching", { i: index + 1 }));
    document.querySelector("#prompt textarea")?.focus();
  }

  // sends a mask file to the server, which can read more kinds of masks than the browser
  async loadMask(file) {
    if (!this.pointer.mask) return;
    const path = await sent(this.gradio, file, (text, bad) => this.announce(text, bad));
    if (path) this.trigger("mask", { path });
  }

  loadAlpha() {
    this.receive({ kind: "mask", src: this.alpha });
  }

  saveMask() {
    if (!this.pointer.mask) return;
    const name = `${(this.name || "picture").replace(/\.\w+$/, "")}-mask.png`;
    this.pointer.mask.canvas(...this.full).toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      download(url, name);
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  }
}

function unmarked(node) {
  if (!node) return;
  node.classList.remove("wrong");
  node.querySelectorAll(":scope > .why").forEach((why) => why.remove());
  node.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
}
