// Builds the controls around the picture: tools at the side, options below, the mask menu, the view bar in the corner.

import { button, el, say, slider } from "./dom.js";
import { TYPES } from "./upload.js";
import { COLOURS } from "./viewport.js";

const TOOLS = [["brush", "brush", "B"], ["erase", "erase", "E"], ["rect", "rect", "R"], ["lasso", "lasso", "L"],
  ["thing", "thing", "S"], ["pick", "pick", "P"], ["pan", "pan", "H"]];

export function toolbar(pointer, menu) {
  const tools = TOOLS.map(([name, image, key]) => {
    const node = button("tool", image, `tool_${name}`, () => pointer.use(name));
    node.title += ` (${key})`;
    node.dataset.tool = name;
    return node;
  });
  const undo = button("tool", "undo", "undo", () => pointer.edit((mask) => mask.undo()));
  const redo = button("tool", "redo", "redo", () => pointer.edit((mask) => mask.redo()));
  const more = menuButton("tool", "mask", "mask_menu", menu);
  const bar = el("div.tools", { role: "toolbar", "aria-label": say("tools"), "aria-orientation": "vertical" },
    ...tools, el("hr"), undo, redo, more);
  bar.update = () => {
    const active = pointer.tool === "brush" && pointer.brush.erase ? "erase" : pointer.tool;
    for (const node of tools) node.setAttribute("aria-pressed", node.dataset.tool === active);
    undo.disabled = !pointer.mask?.past.length;
    redo.disabled = !pointer.mask?.future.length;
  };
  arrowKeys(bar);
  return bar;
}

// builds the bar with back, forward, open, mask style and zoom
export function viewBar(editor) {
  const { view } = editor, level = el("button.level", { type: "button", title: `${say("actual_size")} (1)`, onclick: () => view.actual() });
  const back = button("tool", "back", "picture_back", () => editor.act("back"));
  const forward = button("tool", "forward", "picture_forward", () => editor.act("forward"));
  const bar = el("div.corner", { role: "toolbar", "aria-label": say("view") }, back, forward,
    button("tool", "open", "choose", () => editor.upload.choose()), el("hr"),
    button("tool", "eye", "mask_look", () => editor.look()),
    button("tool", "minus", "zoom_out", () => view.zoom(1 / 1.25)), level,
    button("tool", "plus", "zoom_in", () => view.zoom(1.25)),
    button("tool", "fit", "fit", () => view.fit()));
  view.port.addEventListener("viewchange", () => { level.textContent = `${Math.round(view.level)}%`; });
  bar.history = (message) => { back.disabled = !message.back; forward.disabled = !message.forward; };
  arrowKeys(bar);
  return bar;
}

// lets the arrow keys move along a bar, as Tab does
function arrowKeys(bar) {
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step || event.target.closest(".menu")) return;
    const nodes = [...bar.querySelectorAll(":scope > button:not(:disabled), :scope > .holder > button")];
    nodes[(nodes.indexOf(document.activeElement) + step + nodes.length) % nodes.length].focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

// builds a button that opens `menu`; a press outside it or Escape closes it, and on the picture does no more than that
export function menuButton(className, image, key, menu, text = false) {
  const node = button(className, image, key, () => toggle(), text);
  node.setAttribute("aria-expanded", "false");
  node.setAttribute("aria-haspopup", "true");
  menu.hidden = true;
  const toggle = (open = menu.hidden) => {
    menu.hidden = !open;
    node.setAttribute("aria-expanded", open);
    if (open) menu.querySelector("button, input, select")?.focus({ preventScroll: true });
  };
  menu.close = () => toggle(false);
  document.addEventListener("pointerdown", (event) => {
    if (menu.hidden || menu.contains(event.target) || node.contains(event.target)) return;
    toggle(false);
    if (event.target.closest(".port")) event.stopPropagation();
  }, true); // before the picture hears of it
  // keys are handled on the holder, since a menu that holds only text has nothing to focus
  return el("div.holder", { onkeydown: (event) => {
    if (event.key !== "Escape" || menu.hidden) return;
    toggle(false);
    node.focus();
    event.stopPropagation();
  } }, node, menu);
}

const ON_RELEASE = "inpaint-erase-on-release"; // where this browser remembers the choice

export function optionsBar(editor) {
  const { pointer } = editor, { brush } = pointer;
  const size = slider("size", 2, 400, brush.size, (v) => { brush.size = v; pointer.ring(); });
  const hardness = slider("hardness", 0, 100, 90, (v) => { brush.hardness = v / 100; }, "%");
  const opacity = slider("opacity", 5, 100, 100, (v) => { brush.opacity = v / 100; }, "%");
  opacity.title = say("opacity_hint");
  const tolerance = slider("tolerance", 0, 128, 24, (v) => { pointer.tolerance = v; pointer.repick(); });
  const beyond = slider("beyond", 0, 64, 0, (v) => { pointer.beyond = v; }, " px");
  beyond.querySelector("input").addEventListener("change", () => editor.things.again());
  const minus = el("input", { type: "checkbox", onchange: () => { brush.erase = minus.checked; pointer.changed(); } });
  const away = el("label.tick", { title: say("take_away_hint") }, minus, say("take_away"));
  const everywhere = el("label.tick", {}, el("input", { type: "checkbox",
    onchange: (event) => { pointer.everywhere = event.target.checked; pointer.repick(); } }), say("everywhere"));
  const now = el("input", { type: "checkbox", checked: localStorage.getItem(ON_RELEASE) === "1",
    onchange: () => localStorage.setItem(ON_RELEASE, now.checked ? "1" : "0") });
  const onRelease = el("label.tick", { title: say("on_release_hint") }, now, say("on_release"));
  const hint = el("span.hint");
  const bar = el("div.brush-options", {}, size, hardness, opacity, tolerance, everywhere, hint, beyond, away, onRelease);
  bar.onRelease = () => now.checked;
  bar.update = () => {
    size.limit(brush.most || 400);
    size.set(brush.size);
    size.hidden = hardness.hidden = pointer.tool !== "brush";
    opacity.hidden = pointer.tool === "pan" || pointer.tool === "thing";
    beyond.hidden = away.hidden = pointer.tool !== "thing";
    beyond.set(pointer.beyond ?? editor.things.beyond);
    minus.checked = brush.erase;
    tolerance.hidden = everywhere.hidden = pointer.tool !== "pick";
    hint.textContent = pointer.tool === "brush" ? "" : say(`hint_${pointer.tool}`);
    onRelease.hidden = !editor.removing;
  };
  return bar;
}

// builds the link that says what is kept where and for how long, with the switch for it
export function keptMenu({ draft, gradio }) {
  const about = el("p"), on = el("input", { type: "checkbox", onchange: () => { draft.stores = on.checked; document.dispatchEvent(new Event("inpaint-kept")); } });
  const tell = () => {
    on.checked = draft.stores;
    about.textContent = draft.stores ? say("kept_about", { minutes: gradio.props.limits.minutes }) : say("kept_not");
  };
  document.addEventListener("inpaint-kept", tell); // there are two of these links
  tell();
  return menuButton("link", null, "kept", el("div.menu.up.left.keptmenu", { role: "group", "aria-label": say("kept") }, about,
    el("label.tick", {}, on, say("kept_switch"))), true);
}

// builds a slider that grows or shrinks the mask while it is dragged; the whole drag is one undo step
function growSlider(pointer) {
  let base = null;
  const node = slider("grow", -64, 64, 0, (by) => {
    if (!pointer.mask) return;
    base ||= pointer.mask.data.slice();
    const { mask, view } = pointer, own = (by * mask.w) / (view.size[0] * view.detail); // picture's pixels → the mask's
    mask.data.set(by ? mask.grown(base, own) : base);
    pointer.refresh();
  }, " px");
  node.querySelector("input").addEventListener("change", () => {
    if (!base) return;
    pointer.mask.remember(base);
    base = null;
    node.set(0);
    pointer.refresh();
  });
  return node;
}

// builds the mask's menu; actions: load(file), alpha(), save(), hasAlpha()
export function maskMenu(pointer, actions) {
  const item = (key, change) => button("item", null, key, () => pointer.mask && pointer.edit(change), true);
  const file = el("input.hide", { type: "file", accept: TYPES, tabindex: "-1", "aria-label": say("mask_from_file"),
    onchange: () => { actions.load(file.files[0]); file.value = ""; } });
  const alpha = button("item", null, "mask_from_alpha", () => actions.alpha(), true);
  const colours = el("div.row.swatches", { role: "group", "aria-label": say("overlay_colour") }, ...COLOURS.map((colour, i) =>
    el("button.swatch", { type: "button", style: `background:${colour}`, "aria-label": `${say("overlay_colour")} ${i + 1}`,
      onclick: () => { pointer.view.colour = colour; if (pointer.mask) pointer.refresh(); } })));
  const menu = el("div.menu.maskmenu", { role: "group", "aria-label": say("mask_menu") },
    item("invert", (mask) => mask.invert()), item("fill_holes", (mask) => mask.fillHoles()),
    item("paint_all", (mask) => mask.fill(255)), item("clear", (mask) => mask.fill(0)), growSlider(pointer), el("hr"),
    button("item", null, "mask_from_file", () => file.click(), true), alpha,
    button("item", null, "mask_download", () => { actions.save(); menu.close(); }, true), el("hr"), colours, file);
  menu.update = () => { alpha.hidden = !actions.hasAlpha(); };
  return menu;
}
