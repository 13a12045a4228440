// Handles the keyboard: shortcuts everywhere except in text fields, arrows and Enter on the picture.

import { el, say } from "./dom.js";

const TYPING = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";

// listens on the whole page for one editor; its root has data-keys while the keyboard was used last, not the pointer
export function shortcuts(editor) {
  document.addEventListener("keydown", (event) => {
    editor.root.dataset.keys = "";
    pressed(editor, event);
  });
  document.addEventListener("pointerdown", () => { delete editor.root.dataset.keys; }, true);
  document.addEventListener("keydown", leaveList, true);
  document.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "o") editor.original(false);
    if (event.code !== "Space") return;
    editor.pointer.spaceHeld = false;
    editor.root.classList.remove("hand");
  });
  addEventListener("blur", () => editor.original(false));
}

// [what a key does, the keys]; several of one line stand for as many keys
const SHEET = [["tool_brush", "B"], ["tool_erase", "E"], ["key_swap", "X"], ["tool_rect", "R"], ["tool_lasso", "L"],
  ["tool_thing", "S"], ["key_away", "Alt"], ["key_box", "Shift"], ["tool_pick", "P"], ["tool_pan", "H", "Space"], ["key_size", "[", "]"], ["undo", "Ctrl Z"], ["redo", "Ctrl Shift Z"],
  ["invert", "Ctrl I"], ["mask_look", "M"], ["key_zoom", "+", "−"], ["actual_size", "1"], ["fit", "0"], ["key_original", "O"],
  ["run", "Ctrl Enter"], ["cancel", "Esc"], ["copy_result", "Ctrl C"], ["key_arrows", "← ↑ → ↓", "Enter"], ["key_sheet", "?"]];

// the list of all keys, opened with ?
export function keySheet(root) {
  const rows = SHEET.map(([key, ...keys]) => el("div.pair", {}, el("dt", {}, ...keys.map((one) => el("kbd", {}, one))), el("dd", {}, say(key))));
  const dialog = el("dialog.sheetkeys", { "aria-label": say("key_sheet"), onclick: (event) => event.target === dialog && dialog.close() },
    el("h2", {}, say("key_sheet")), el("dl", {}, ...rows),
    el("form", { method: "dialog" }, el("button.quiet", { autofocus: true }, say("close"))));
  root.append(dialog);
  return { toggle: () => (dialog.open ? dialog.close() : dialog.showModal()) };
}

// lets Tab leave and close the open list of a drop-down; Gradio would leave it open over the next controls
function leaveList(event) {
  if (event.key !== "Tab" || event.target.getAttribute?.("role") !== "combobox") return;
  for (const list of document.querySelectorAll("ul[role=listbox]")) list.tabIndex = -1;
  event.stopPropagation();
}

function pressed(editor, event) {
  if (!editor.root.offsetParent) return;
  const command = event.ctrlKey || event.metaKey, { pointer, view, root } = editor, onPort = event.target === view.port;
  if (command && event.key === "Enter") return document.querySelector("#run")?.click();
  if (event.key === "Escape" && root.dataset.mode === "run") return document.querySelector("#cancel")?.click();
  if (event.target.closest?.(TYPING) || event.altKey) return;
  if (event.key === "?" && !command) return editor.sheet.toggle();
  if (!pointer.mask || document.querySelector("dialog[open]")) return;
  if (command && event.key.toLowerCase() === "c" && editor.current === "result" && !String(getSelection())) {
    event.preventDefault();
    return editor.copy();
  }
  if (onPort && event.code === "Space" && !command) {
    pointer.spaceHeld = true;
    root.classList.add("hand");
    event.preventDefault();
  }
  const action = command ? commands(editor, event) : plain(editor, event, onPort);
  if (!action || (command && pointer.locked)) return;
  action();
  event.preventDefault();
}

function commands(editor, event) {
  const { pointer } = editor, undo = () => editor.undelete(true) || pointer.edit((mask) => mask.undo());
  return { z: () => (event.shiftKey ? pointer.edit((mask) => mask.redo()) : undo()),
    y: () => pointer.edit((mask) => mask.redo()), i: () => pointer.edit((mask) => mask.invert()),
  }[event.key.toLowerCase()];
}

function plain(editor, event, onPort) {
  const { pointer, view } = editor, key = event.key.toLowerCase(), big = event.shiftKey;
  const anywhere = { "[": () => pointer.resizeBrush(1 / 1.15), "]": () => pointer.resizeBrush(1.15),
    b: () => pointer.use("brush"), e: () => pointer.use("erase"), r: () => pointer.use("rect"),
    l: () => pointer.use("lasso"), s: () => pointer.use("thing"), p: () => pointer.use("pick"), h: () => pointer.use("pan"),
    x: () => pointer.use(pointer.brush.erase ? "brush" : "erase"), m: () => editor.look(), o: () => editor.original(true),
    1: () => view.actual(),
    "+": () => view.zoom(1.25), "=": () => view.zoom(1.25), "-": () => view.zoom(1 / 1.25), 0: () => view.fit() };
  const port = { arrowleft: () => pointer.arrow(-1, 0, big), arrowright: () => pointer.arrow(1, 0, big),
    arrowup: () => pointer.arrow(0, -1, big), arrowdown: () => pointer.arrow(0, 1, big), enter: () => pointer.press() };
  return anywhere[key] || (onPort ? port[key] : undefined);
}
