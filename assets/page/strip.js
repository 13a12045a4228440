// The strip of results: every run adds to it; each can be looked at, starred, compared and deleted.

import { el, icon, say } from "./dom.js";

// an item: {id, run, src, thumb, label, caption, report, details, starred}; src may come later
export class Strip {
  // choose(item) shows a result, back() the picture without any
  constructor(choose, back) {
    this.choose = choose;
    this.back = back;
    this.items = [];
    this.node = el("div.thumbs", { role: "group", "aria-label": say("results") });
  }

  of(id) {
    return this.items.find((item) => item.id === id);
  }

  add(items) {
    this.items.push(...items.filter((item) => !this.of(item.id)));
  }

  // puts an item back where it was
  insert(item, place) {
    if (!this.of(item.id)) this.items.splice(place, 0, item);
  }

  remove(ids) {
    this.items = this.items.filter((item) => !ids.includes(item.id));
  }

  // chosen: the item that is shown, or null; base: the one on the left of the line, or null for the picture
  update(photo, chosen, base) {
    const thumb = (src, text, label, pressed, onclick, marks = []) => el("button.thumb", { type: "button", "aria-pressed": pressed,
      title: text, "aria-label": text, onclick }, el("img", { src, alt: "", draggable: "false" }), el("span", {}, label), ...marks);
    const picture = thumb(photo, say("picture_now"), "", !chosen, () => this.back());
    picture.classList.add("now");
    this.node.replaceChildren(...(this.items.length ? [picture, ...this.items.map((item) => thumb(item.thumb, item.caption, item.label,
      item === chosen, () => this.choose(item), [item.starred && el("i.star", { html: icon("star") }), item === base && el("b", {}, "A")]
        .filter(Boolean)))] : []));
    this.node.querySelector("[aria-pressed=true]")?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
  }
}
