// The photo and the result at their own resolution: the part that is seen, fetched when the copy is too coarse for it.

import { el, picture } from "./dom.js";

const REST = 150; // milliseconds that the view rests before it is fetched
const MOST = 4_000_000; // pixels of one part

// [x0, y0, x1, y1] of what the window shows, with a margin, in pixels of a picture that has `ratio` of them for one of the
// world's; null where nothing of it is seen
export function visible({ x, y, scale, size: [w, h] }, [W, H], ratio, margin = 0.15) {
  const edge = (at, from, room, most) => Math.min(most, Math.max(0, (at * room - from) / scale)) * ratio;
  const box = [Math.floor(edge(-margin, x, W, w)), Math.floor(edge(-margin, y, H, h)), Math.ceil(edge(1 + margin, x, W, w)),
    Math.ceil(edge(1 + margin, y, H, h))];
  return box[2] > box[0] && box[3] > box[1] ? box : null;
}

export const within = (inner, outer) => inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3];

export class Detail {
  constructor(editor) {
    this.editor = editor;
    this.shown = { photo: null, result: null }; // {key, box} of the parts on the screen
    this.asked = { photo: null, result: null };
    editor.view.port.addEventListener("viewchange", () => this.later());
  }

  later() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.look(), REST);
  }

  // takes away what belongs to another picture, and fetches what is missing
  look() {
    const { editor } = this, { view, chosen } = editor;
    if (!editor.full || !view.size) return;
    this.need("photo", `photo ${editor.root.dataset.ready}`, null, view.detail, editor.root.classList.contains("stretched"));
    const result = editor.current === "result" && view.shown.getAttribute("src") === chosen?.src ? chosen : null;
    this.need("result", `result ${result?.id}`, result?.id, result && result.size[0] / view.size[0], !result);
  }

  need(which, key, id, ratio, none) {
    const { view } = this.editor, coarse = view.scale * (window.devicePixelRatio || 1) > 1.05 && ratio > 1.01;
    if (this.shown[which]?.key !== key || none) this.clear(which);
    if (none || !coarse) return;
    const port = [view.port.clientWidth, view.port.clientHeight], exact = visible(view, port, ratio, 0);
    if (!exact || (this.shown[which] && within(exact, this.shown[which].box))) return;
    const wide = visible(view, port, ratio), pixels = (box) => (box[2] - box[0]) * (box[3] - box[1]);
    const box = pixels(wide) > MOST ? exact : wide;
    if (pixels(box) > MOST || (this.asked[which]?.key === key && within(exact, this.asked[which].box))) return;
    this.asked[which] = { key, box, ratio };
    this.editor.trigger("detail", { which, id, box });
  }

  async arrived({ which, box, src }) {
    const asked = this.asked[which];
    if (!asked || String(asked.box) !== String(box)) return;
    await picture(src);
    if (this.asked[which] !== asked) return;
    const node = this.node(which);
    node.src = src;
    node.style.transform = `translate(${box[0] / asked.ratio}px, ${box[1] / asked.ratio}px) scale(${1 / asked.ratio})`;
    node.hidden = false;
    this.shown[which] = asked;
    this.asked[which] = null;
    this.look();
  }

  clear(which) {
    this.node(which).hidden = true;
    this.shown[which] = this.asked[which] = null;
  }

  node(which) {
    return which === "photo" ? this.editor.view.fine : this.editor.view.fineResult;
  }
}

export const fine = () => el("img.fine", { alt: "", draggable: "false", hidden: true });
