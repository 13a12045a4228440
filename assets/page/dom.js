// Provides small helpers for elements, icons, sentences and pictures.

let sentences = {};

// sets the sentences, {language: {key: sentence}}, of which those in the browser's language are used
export function speak(words) {
  sentences = words[language()];
}

export function language() {
  return (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

// returns the sentence with this key, with its {values} filled in
export const say = (key, values = {}) => (sentences[key] || key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

const ICONS = {
  brush: "M4 20c3 0 5-1 5-4a3 3 0 0 1 5 2c0 2-2 3-5 3H4zM11 14 19 4l2 2-8 10",
  erase: "M5 15 14 5l6 6-8 9H8l-3-3a1.4 1.4 0 0 1 0-2zM10 9l6 6M12 20h8",
  rect: "M4 6h16v12H4z",
  lasso: "M12 4c5 0 9 2.400 9 6s-4 6-9 6c-2 0-3.500-.3-5-1M7 15c-3-1-4-3-4-5 0-3.600 4-6 9-6M7 15a2 2 0 1 0-2 3c2 0 2 2 1 3",
  thing: "M4 20 13 11M11.500 9.500l3 3 2.500-2.500-3-3zM18 3v3M16.500 4.500h3M20 11v2M19 12h2M9 4v2M8 5h2",
  pick: "m14 6 4 4M4 20l1-4 9-9 4 4-9 9zM15 5l1.500-1.500a2 2 0 0 1 4 4L19 9",
  pan: "M8 12V6a1.500 1.500 0 0 1 3 0v5-7a1.500 1.500 0 0 1 3 0v7-5a1.500 1.500 0 0 1 3 0v8c0 4-2 7-6 7-3 0-4-1-6-4l-2-4a1.500 1.500 0 0 1 2.500-1.500z",
  undo: "M9 8H4V3M4.500 8A8 8 0 1 1 4 13",
  redo: "M15 8h5V3M19.500 8A8 8 0 1 0 20 13",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  mask: "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 3v18M12 8h8M12 12h9M12 16h8",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM9 12a3 3 0 1 0 6 0 3 3 0 1 0-6 0",
  open: "M4 17v2a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-2M12 15V4M7 9l5-5 5 5",
  star: "M12 3l2.700 5.800 6.300.7-4.700 4.300 1.300 6.200L12 16.800 6.400 20l1.300-6.200L3 9.500l6.300-.7z",
  sides: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  camera: "M4 8h4l2-3h4l2 3h4v11H4zM9 13a3 3 0 1 0 6 0 3 3 0 1 0-6 0",
  save: "M4 17v2a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-2M12 4v11M7 10l5 5 5-5",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 13l4 4L19 7",
  back: "M10 6l-6 6 6 6M4 12h16",
  forward: "M14 6l6 6-6 6M20 12H4",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9h4M4 15h4M16 9h4M16 15h4",
  branch: "M6 4v16M6 14c0-4 12-2 12-8M18 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4M6 22a2 2 0 1 0 0-4 2 2 0 0 0 0 4",
};

export function icon(name) {
  return `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
}

// el("button.tool", {title: "…", onclick}, child, …) -> HTMLElement
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  node.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "html") node.innerHTML = value;
    else if (name.startsWith("aria-") && typeof value === "boolean") node.setAttribute(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function button(className, iconName, key, onclick, text = false) {
  const node = el(`button.${className}`, { type: "button", title: say(key), "aria-label": say(key), onclick });
  node.innerHTML = iconName ? icon(iconName) : "";
  if (text) node.append(el("span", {}, say(key)));
  node.dataset.do = key;
  return node;
}

export function slider(key, low, high, value, oninput, unit = "") {
  const shown = el("output", {}, `${value}${unit}`);
  const input = el("input", { type: "range", min: low, max: high, value, "aria-label": say(key) });
  input.addEventListener("input", () => { shown.textContent = input.value + unit; oninput(+input.value); });
  const node = el("label.slider", { "data-for": key }, el("span", {}, say(key)), input, shown);
  node.set = (number) => { input.value = number; shown.textContent = input.value + unit; };
  node.limit = (most) => { input.max = most; };
  return node;
}

// returns a promise of the loaded image at an address
export function picture(src) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("unreadable"));
    image.src = src;
  });
}

// returns the RGBA bytes of an image drawn at w × h
export function pixels(image, w, h) {
  const canvas = el("canvas", { width: w, height: h });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, w, h);
  return context.getImageData(0, 0, w, h).data;
}

export function download(url, name) {
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
