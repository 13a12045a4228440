// Suggests words that the built-in model knows, in a row under the prompt, chosen with the mouse or the arrow keys.
// The row is always there, so that it covers nothing and nothing moves when it changes.

import { el, say } from "./dom.js";

const SHOWN = 8; // of these, those that fit into the row are visible

// returns the text in the form in which texts are compared: lower case, single blanks, plain apostrophes
const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").replaceAll("’", "'");

// returns the names that begin with the typed text, then those of which another word begins with it
export function matching(names, text) {
  const typed = plain(text).trimStart();
  const starts = names.filter((name) => plain(name).startsWith(typed));
  const words = names.filter((name) => !starts.includes(name) && ` ${plain(name)}`.includes(` ${typed}`));
  return [...starts, ...words].slice(0, SHOWN);
}

export class Suggest {
  constructor(names) {
    this.names = names;
    this.hint = el("div.hint");
    this.row = el("div.names", { id: "suggest-names", role: "listbox" });
    this.box = el("div.suggest", { id: "suggest", hidden: true }, this.hint, this.row);
    this.at = -1;
    this.few = this.some();
    for (const kind of ["input", "focusin", "click"]) document.addEventListener(kind, () => requestAnimationFrame(() => this.offer()));
    document.addEventListener("keydown", (event) => event.target.matches?.("#prompt textarea") && this.key(event), true);
    const ready = setInterval(() => {
      this.offer();
      if (document.querySelector("#model input")?.value) clearInterval(ready);
    }, 200);
  }

  get field() {
    return document.querySelector("#prompt textarea");
  }

  // returns the key of the hint and the names to suggest: those that fit the text, or a few others if none fits or
  // the text already holds one
  state(typed) {
    const text = ` ${plain(typed).replace(/[^\p{L}\p{N}'-]+/gu, " ").trim()} `;
    if (!typed.trim()) return ["knows", this.few];
    const found = matching(this.names, typed).filter((name) => ` ${plain(name)} ` !== text);
    if (found.length) return ["knows", found];
    return this.names.some((name) => text.includes(` ${plain(name)} `)) ? ["known", this.few] : ["unknown", this.few];
  }

  offer() {
    const field = this.field, builtin = document.querySelector("#model input")?.value === "builtin";
    this.box.hidden = !(field && builtin);
    if (this.box.hidden || this.offered === field.value && this.box.isConnected) return;
    this.offered = field.value; // the text that the suggestions are for
    this.at = -1;
    const [word, found] = this.state(field.value);
    this.hint.textContent = say(word, { n: this.names.length });
    this.row.setAttribute("aria-label", this.hint.textContent);
    this.row.replaceChildren(...found.map((name, n) => el("button.item", {
      id: `suggest-${n}`, type: "button", role: "option", tabindex: "-1", onclick: () => this.take(name) }, name)));
    field.setAttribute("aria-controls", "suggest-names");
    if (!this.box.isConnected) field.closest("#prompt").append(this.box);
  }

  // returns a few names from all over the list, different ones each time
  some() {
    const from = Math.floor(Math.random() * this.names.length), stride = Math.ceil(this.names.length / SHOWN);
    return Array.from({ length: SHOWN }, (_, n) => this.names[(from + n * stride) % this.names.length]);
  }

  take(name) {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(this.field, name);
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.field.focus();
  }

  // handles keys in the prompt: up and down move along the row, Enter takes the marked name
  key(event) {
    const items = [...this.row.children].filter((item) => item.offsetTop === this.row.firstChild.offsetTop);
    if (this.box.hidden || event.isComposing || !items.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.at += event.key === "ArrowDown" ? 1 : -1;
    else if (event.key === "Enter" && this.at >= 0 && !event.ctrlKey && !event.metaKey) this.take(items[this.at].textContent);
    else if (event.key === "Escape" && this.at >= 0) this.at = -1;
    else return;
    this.at = this.at < -1 ? items.length - 1 : this.at % items.length;
    items.forEach((item, n) => item.setAttribute("aria-selected", n === this.at));
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", items[this.at].id);
    else this.field.removeAttribute("aria-activedescendant");
    event.preventDefault();
    event.stopPropagation();
  }
}
