// What the server says, and what the stage does about it: every kind of message is a method.

Object.assign(Stage.prototype, {
  // one after the other, in the order they came
  receive(message) {
    this.turn = (this.turn || Promise.resolve()).then(() => this.obey(message)).catch((error) => console.error(error));
  },

  async obey(message) {
    if (message?.kind && this[`on_${message.kind}`]) await this[`on_${message.kind}`](message);
    if (message?.say) this.announce(message.say, message.bad);
  },

  async on_picture(message) {
    const { view } = this, image = await picture(message.src);
    view.photo.src = message.src;
    view.shown.hidden = true;
    [this.full, this.alpha, this.name] = [message.full, message.alpha, message.name];
    const kept = message.keep_mask && this.painter.mask;
    const same = kept && kept.w === image.naturalWidth && kept.h === image.naturalHeight;
    view.resize(image.naturalWidth, image.naturalHeight);
    if (same) this.painter.image = image, this.painter.rgba = null;
    else this.painter.begin(image, image.naturalWidth, image.naturalHeight);
    this.history(message);
    this.mode("paint");
    if (message.mask) {
      this.painter.mask.load(await picture(message.mask), "grey");
      this.painter.refresh();
    }
    this.busy(false);
    this.announce("");
    view.fit();
    this.root.dataset.ready = message.n;
  },

  history(message) {
    this.back.disabled = !message.back;
    this.forward.disabled = !message.forward;
  },

  on_wait(message) {
    this.progress.set(null, message.text);
  },

  async on_step(message) {
    if (this.root.dataset.mode !== "run") return;
    this.progress.set(message.fraction, message.text);
    if (message.src) await this.show(message.src);
    this.root.dataset.previews = +(this.root.dataset.previews || 0) + 1;
  },

  async show(src) {
    const image = await picture(src);
    this.view.shown.src = src;
    this.view.shown.hidden = false;
    this.compare.show(false);
    this.stretch(image);
  },

  // an expanded picture has another shape: the world takes it, the mask hides
  stretch(image) {
    const [w, h] = [this.view.photo.naturalWidth, this.view.photo.naturalHeight];
    const other = Math.abs(image.naturalWidth / image.naturalHeight - w / h) > 0.01;
    this.root.classList.toggle("stretched", other);
    if (other) this.view.resize(w, (w * image.naturalHeight) / image.naturalWidth);
    else this.view.resize(w, h);
  },

  async on_result(message) {
    this.frames = new Map();
    this.result = message;
    await this.show(message.items[message.chosen].src);
    this.mode("result");
    this.shelf.show(message);
    this.history(message);
    this.compare.show(!this.root.classList.contains("stretched"));
    if (this.fresh) this.compare.begin(this.painter.mask);
    this.fresh = false;
    this.branch = null;
  },

  choose(index) {
    this.act("choose", { index });
    this.on_result({ ...this.result, chosen: index, report: this.result.items[index].report || this.result.report });
  },

  on_paint(message) {
    this.view.shown.hidden = true;
    this.root.classList.remove("stretched");
    this.view.resize(this.view.photo.naturalWidth, this.view.photo.naturalHeight);
    this.history(message);
    this.mode("paint");
  },

  // cancelled or failed: the last preview stays to be looked at, the mask is as it was
  on_stopped(message) {
    if (this.result && this.before === "result" && !message.preview) return this.on_result(this.result);
    this.mode(this.view.photo.src ? "paint" : "empty");
    this.busy(false);
    if (message.preview) { this.root.dataset.mode = "stopped"; this.result = null; }
    else this.on_paint({ back: !this.back.disabled, forward: !this.forward.disabled });
  },

  on_file(message) {
    const { root = "", api_prefix = "/gradio_api" } = window.gradio_config || {};
    download(`${root}${api_prefix}/file=${encodeURI(message.path)}`, message.name);
  },

  scrub(index, last) {
    if (last) return this.on_result(this.result);
    this.wanted = index;
    if (this.frames.has(index)) return this.show(this.frames.get(index));
    trigger("scrub", { index });
  },

  on_frame(message) {
    this.frames.set(message.index, message.src);
    if (this.wanted === message.index) this.show(message.src);
  },

  branchFrom(index) {
    this.branch = index;
    this.announce(say("branching", { i: index + 1 }));
    document.querySelector("#prompt textarea")?.focus();
  },

  async loadMask(file) {
    if (!file || !this.painter.mask) return;
    const url = URL.createObjectURL(file);
    try {
      const image = await picture(url);
      this.painter.mask.load(image);
      this.painter.refresh();
      this.announce(say(this.painter.mask.empty ? "mask_is_empty" : "mask_loaded"), this.painter.mask.empty);
    } catch (error) {
      this.announce(say("mask_unreadable"), true);
    }
    URL.revokeObjectURL(url);
  },

  async loadAlpha() {
    this.painter.mask.load(await picture(this.alpha), "grey");
    this.painter.refresh();
  },

  saveMask() {
    if (!this.painter.mask) return;
    const name = `${(this.name || "picture").replace(/\.\w+$/, "")}-mask.png`;
    this.painter.mask.canvas(...this.full).toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      download(url, name);
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  },
});
