// Shows a run and its results: progress bar, before/after line, variations, film, report, and saving.

import { button, clamp, el, icon, say } from "./dom.js";
import { menuButton } from "./toolbar.js";

export class Compare {
  constructor(view) {
    this.view = view;
    this.at = 50;
    this.grip = el("button.grip", { type: "button", role: "slider", "aria-label": say("compare"), "aria-valuemin": 0,
      "aria-valuemax": 100, "aria-valuenow": 50, hidden: true, html: icon("back") + icon("forward") });
    this.line = el("div.line", { hidden: true });
    view.port.append(this.line, this.grip);
    view.port.addEventListener("viewchange", () => this.place());
    this.grip.addEventListener("pointerdown", (event) => { this.grip.setPointerCapture(event.pointerId); event.stopPropagation(); this.held = true; });
    this.grip.addEventListener("pointermove", (event) => { event.stopPropagation(); if (this.held) this.drag(event); });
    for (const kind of ["pointerup", "pointercancel"]) {
      this.grip.addEventListener(kind, (event) => { event.stopPropagation(); this.held = false; });
    }
    this.grip.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.set(this.at + by);
    });
  }

  drag(event) {
    const [x] = this.view.local(event), { size, scale } = this.view;
    this.set((100 * (x - this.view.x)) / (size[0] * scale));
  }

  set(at) {
    this.at = clamp(at, 0, 100);
    this.grip.setAttribute("aria-valuenow", Math.round(this.at));
    this.place();
  }

  // places the line at first so that everything repainted is to its right
  begin(mask) {
    let left = mask.w;
    for (let y = 0; y < mask.h; y++) {
      for (let x = 0; x < left; x++) if (mask.data[y * mask.w + x]) left = x;
    }
    this.set((100 * (left % mask.w)) / mask.w - 4);
  }

  show(on) {
    this.grip.hidden = this.line.hidden = !on;
    if (on) this.place();
    else this.view.over.style.clipPath = "";
  }

  place() {
    if (this.grip.hidden) return;
    const { x, y, size: [w, h], scale, port } = this.view;
    const left = clamp(x + (w * scale * this.at) / 100, 0, port.clientWidth);
    const top = Math.max(0, y), bottom = Math.min(port.clientHeight, y + h * scale);
    this.line.style.cssText = `left:${left}px;top:${top}px;height:${Math.max(0, bottom - top)}px`;
    this.grip.style.cssText = `left:${left}px;top:${(top + bottom) / 2}px`;
    this.view.over.style.clipPath = `inset(0 0 0 ${this.at}%)`;
  }
}

export function progressBar() {
  const fill = el("div.done"), text = el("span");
  const bar = el("div.progress", { hidden: true, role: "progressbar", "aria-label": say("progress"), "aria-valuemin": 0,
    "aria-valuemax": 100 }, el("div.track", {}, fill), text);
  bar.set = (fraction, words) => {
    bar.hidden = false;
    bar.classList.toggle("waiting", fraction == null);
    fill.style.width = `${100 * (fraction ?? 1)}%`;
    if (fraction == null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", Math.round(100 * fraction));
    text.textContent = words;
  };
  return bar;
}

// Builds the parts shown below the picture once there is a result: thumbs, film, report and actions.
export function results(editor) {
  const thumbs = editor.strip.node;
  const report = el("p.report"), facts = el("ul.facts");
  const details = menuButton("link", null, "details", el("div.menu.up.left", { role: "group", "aria-label": say("details") }, facts), true);
  const film = filmStrip(editor);
  const keepMask = el("input", { type: "checkbox" });
  const star = button("quiet", "star", "star", () => editor.star());
  const sides = button("quiet", "sides", "compare_with", () => editor.setBase());
  const actions = el("div.row.actions", {}, el("label.tick", {}, keepMask, say("keep_mask")), star, sides,
    button("quiet", "close", "discard", () => editor.act("discard"), true),
    el("div.split", {}, button("quiet", "save", "download", () => editor.act("save", { format: "own", metadata: editor.gradio.props.limits.metadata }), true),
      menuButton("quiet", "more", "download_as", savePanel(editor))),
    button("solid", "check", "keep", () => editor.act("keep", { keep_mask: keepMask.checked }), true));
  const show = (item, run, base) => {
    star.setAttribute("aria-pressed", !!item.starred);
    sides.setAttribute("aria-pressed", base === item);
    report.textContent = item.report || "";
    report.title = report.textContent;
    facts.replaceChildren(...(item.details || []).map((line) => el("li", {}, line)));
    details.hidden = !facts.children.length;
    film.show(run.run === item.run ? run.frames : 0, run.branches);
  };
  return { thumbs, film, report, details, actions, show };
}

function select(key, choices, value) {
  const node = el("select", { "aria-label": say(key) }, ...choices.map(([v, label]) => el("option", { value: v, selected: v === value }, label)));
  return [el("label.field", {}, el("span", {}, say(key)), node), node];
}

function savePanel(editor) {
  const [formatRow, format] = select("format", [["png", "PNG"], ["jpg", "JPEG"], ["webp", "WebP"]], "png");
  const [metaRow, metadata] = select("metadata", [["full", say("meta_full")], ["settings", say("meta_settings")], ["none", say("meta_none")]],
    editor.gradio.props.limits.metadata);
  const panel = el("div.menu.up", { role: "group", "aria-label": say("download_as") }, formatRow, metaRow,
    button("solid", "save", "download", () => {
      editor.act("save", { format: format.value, metadata: metadata.value });
      panel.close();
    }, true),
    button("quiet", "copy", "copy_result", () => { editor.copy(); panel.close(); }, true));
  return panel;
}

// builds a slider over the run's steps; its last position shows the result
function filmStrip(editor) {
  const text = el("output");
  const input = el("input", { type: "range", min: 1, step: 1, "aria-label": say("film") });
  const branch = button("quiet", "branch", "branch", () => editor.branchFrom(+input.value - 1), true);
  const menu = el("div.menu.up", { role: "group", "aria-label": say("film_export") },
    ...["webp", "gif"].map((format) => button("item", null, `film_${format}`, () => {
      editor.act("film", { format });
      menu.close();
    }, true)));
  const node = el("div.film", {}, el("span.label", { html: icon("film") }), input, text, branch,
    menuButton("quiet", "more", "film_export", menu));
  const update = () => {
    const last = +input.value === +input.max;
    text.textContent = last ? say("finished") : say("step_of", { i: input.value, n: input.max - 1 });
    branch.hidden = last || !node.branches;
  };
  input.addEventListener("input", () => { update(); editor.scrub(+input.value - 1, +input.value === +input.max); });
  node.show = (frames, branches) => {
    node.hidden = !frames;
    node.branches = branches;
    input.max = frames + 1;
    input.value = frames + 1;
    update();
  };
  return node;
}
