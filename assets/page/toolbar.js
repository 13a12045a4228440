// The controls around the picture: tools at the side, options below, the mask's menu, zoom in the corner.

const TOOLS = [["brush", "brush", "B"], ["erase", "erase", "E"], ["rect", "rect", "R"], ["lasso", "lasso", "L"],
  ["pick", "pick", "P"], ["pan", "pan", "H"]];

function toolbar(painter, menu) {
  const tools = TOOLS.map(([name, image, key]) => {
    const node = button("tool", image, `tool_${name}`, () => painter.use(name));
    node.title += ` (${key})`;
    node.dataset.tool = name;
    return node;
  });
  const undo = button("tool", "undo", "undo", () => painter.edit((mask) => mask.undo()));
  const redo = button("tool", "redo", "redo", () => painter.edit((mask) => mask.redo()));
  const more = menuButton("tool", "mask", "mask_menu", menu);
  const bar = el("div.tools", { role: "toolbar", "aria-label": say("tools"), "aria-orientation": "vertical" },
    ...tools, el("hr"), undo, redo, more);
  bar.update = () => {
    const active = painter.tool === "brush" && painter.brush.erase ? "erase" : painter.tool;
    for (const node of tools) node.setAttribute("aria-pressed", node.dataset.tool === active);
    undo.disabled = !painter.mask?.past.length;
    redo.disabled = !painter.mask?.future.length;
  };
  arrowKeys(bar);
  return bar;
}

// one tab stop for the whole bar; arrows move inside it
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

function menuButton(className, image, key, menu) {
  const node = button(className, image, key, () => toggle());
  node.setAttribute("aria-expanded", "false");
  node.setAttribute("aria-haspopup", "true");
  menu.hidden = true;
  const toggle = (open = menu.hidden) => {
    menu.hidden = !open;
    node.setAttribute("aria-expanded", open);
    if (open) menu.querySelector("button, input, select")?.focus({ preventScroll: true });
  };
  menu.close = () => toggle(false);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    toggle(false);
    node.focus();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !menu.contains(event.target) && !node.contains(event.target)) toggle(false);
  });
  return el("div.holder", {}, node, menu);
}

function optionsBar(painter) {
  const { brush } = painter;
  const size = slider("size", 2, 400, brush.size, (v) => { brush.size = v; painter.ring(); });
  const hardness = slider("hardness", 0, 100, 90, (v) => { brush.hardness = v / 100; }, "%");
  const opacity = slider("opacity", 5, 100, 100, (v) => { brush.opacity = v / 100; }, "%");
  opacity.title = say("opacity_hint");
  const tolerance = slider("tolerance", 0, 128, 24, (v) => { painter.tolerance = v; painter.repick(); });
  const everywhere = el("label.tick", {}, el("input", { type: "checkbox",
    onchange: (event) => { painter.everywhere = event.target.checked; painter.repick(); } }), say("everywhere"));
  const hint = el("span.hint");
  const bar = el("div.options", {}, size, hardness, opacity, tolerance, everywhere, hint);
  bar.update = () => {
    size.set(brush.size);
    size.hidden = hardness.hidden = painter.tool !== "brush";
    opacity.hidden = painter.tool === "pan";
    tolerance.hidden = everywhere.hidden = painter.tool !== "pick";
    hint.textContent = painter.tool === "brush" ? "" : say(`hint_${painter.tool}`);
  };
  return bar;
}

function maskMenu(painter, actions) {
  const item = (key, change) => button("item", null, key, () => painter.mask && painter.edit(change), true);
  const grow = slider("grow", -64, 64, 0, (by) => {
    if (!painter.mask) return;
    grow.base ||= painter.mask.data.slice();
    painter.mask.data.set(by ? painter.mask.grown(grow.base, by) : grow.base);
    painter.refresh();
  }, " px");
  grow.querySelector("input").addEventListener("change", () => {
    if (!grow.base) return;
    painter.mask.remember(grow.base);
    grow.base = null;
    grow.set(0);
    painter.refresh();
  });
  const file = el("input.hide", { type: "file", accept: TYPES, tabindex: "-1", "aria-label": say("mask_from_file"),
    onchange: () => { actions.load(file.files[0]); file.value = ""; } });
  const alpha = button("item", null, "mask_from_alpha", () => actions.alpha(), true);
  const colours = el("div.row.swatches", { role: "group", "aria-label": say("overlay_colour") }, ...COLOURS.map((colour, i) =>
    el("button.swatch", { type: "button", style: `background:${colour}`, "aria-label": `${say("overlay_colour")} ${i + 1}`,
      onclick: () => { painter.view.colour = colour; if (painter.mask) painter.refresh(); } })));
  const menu = el("div.menu.maskmenu", { role: "group", "aria-label": say("mask_menu") },
    item("invert", (mask) => mask.invert()), item("fill_holes", (mask) => mask.fillHoles()),
    item("paint_all", (mask) => mask.fill(255)), item("clear", (mask) => mask.fill(0)), grow, el("hr"),
    button("item", null, "mask_from_file", () => file.click(), true), alpha,
    button("item", null, "mask_download", () => actions.save(), true), el("hr"), colours, file);
  menu.update = () => { alpha.hidden = !actions.hasAlpha(); };
  return menu;
}
