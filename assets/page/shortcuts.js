// The keyboard: shortcuts anywhere but in a text field, arrows and Enter on the picture.

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
    if (event.code !== "Space") return;
    editor.pointer.spaceHeld = false;
    editor.root.classList.remove("hand");
  });
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
  if (event.target.closest?.(TYPING) || !pointer.mask || event.altKey) return;
  if (onPort && event.code === "Space" && !command) {
    pointer.spaceHeld = true;
    root.classList.add("hand");
    event.preventDefault();
  }
  const action = command ? commands(pointer, event) : plain(editor, event, onPort);
  if (!action || (command && pointer.locked)) return;
  action();
  event.preventDefault();
}

function commands(pointer, event) {
  return { z: () => pointer.edit((mask) => (event.shiftKey ? mask.redo() : mask.undo())),
    y: () => pointer.edit((mask) => mask.redo()), i: () => pointer.edit((mask) => mask.invert()),
  }[event.key.toLowerCase()];
}

function plain(editor, event, onPort) {
  const { pointer, view } = editor, key = event.key.toLowerCase(), big = event.shiftKey;
  const anywhere = { "[": () => pointer.resizeBrush(1 / 1.15), "]": () => pointer.resizeBrush(1.15),
    b: () => pointer.use("brush"), e: () => pointer.use("erase"), r: () => pointer.use("rect"),
    l: () => pointer.use("lasso"), p: () => pointer.use("pick"), h: () => pointer.use("pan"),
    x: () => pointer.use(pointer.brush.erase ? "brush" : "erase"), m: () => editor.look(),
    "+": () => view.zoom(1.25), "=": () => view.zoom(1.25), "-": () => view.zoom(1 / 1.25), 0: () => view.fit() };
  const port = { arrowleft: () => pointer.arrow(-1, 0, big), arrowright: () => pointer.arrow(1, 0, big),
    arrowup: () => pointer.arrow(0, -1, big), arrowdown: () => pointer.arrow(0, 1, big), enter: () => pointer.press() };
  return anywhere[key] || (onPort ? port[key] : undefined);
}
