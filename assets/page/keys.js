// The keyboard: shortcuts anywhere but in a text field, arrows and Enter on the picture.

Stage.prototype.key = function key(event) {
  if (!this.root.offsetParent) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key === "Enter") return document.querySelector("#run")?.click();
  if (event.key === "Escape" && this.root.dataset.mode === "run") return document.querySelector("#cancel")?.click();
  if (event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]")) return;
  const { painter, view } = this, onPort = event.target === view.port;
  if (!painter.mask || event.altKey) return;
  const name = event.key.toLowerCase();
  const commands = { z: () => painter.edit((mask) => (event.shiftKey ? mask.redo() : mask.undo())),
    y: () => painter.edit((mask) => mask.redo()), i: () => painter.edit((mask) => mask.invert()) };
  const plain = { "[": () => painter.resizeBrush(1 / 1.15), "]": () => painter.resizeBrush(1.15),
    b: () => painter.use("brush"), e: () => painter.use("erase"), r: () => painter.use("rect"),
    l: () => painter.use("lasso"), p: () => painter.use("pick"), h: () => painter.use("pan"),
    x: () => painter.use(painter.brush.erase ? "brush" : "erase"), m: () => this.look(),
    "+": () => view.zoom(1.25), "=": () => view.zoom(1.25), "-": () => view.zoom(1 / 1.25), 0: () => view.fit() };
  const port = { arrowleft: () => painter.arrow(-1, 0, event.shiftKey), arrowright: () => painter.arrow(1, 0, event.shiftKey),
    arrowup: () => painter.arrow(0, -1, event.shiftKey), arrowdown: () => painter.arrow(0, 1, event.shiftKey),
    enter: () => painter.press() };
  const action = command ? commands[name] : plain[name] || (onPort && port[name]);
  if (onPort && event.code === "Space" && !command) {
    painter.spaceHeld = true;
    this.root.classList.add("hand");
    event.preventDefault();
  }
  if (!action) return;
  if (command && painter.locked) return;
  action();
  event.preventDefault();
};
