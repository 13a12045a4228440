// What the built-in model knows, offered while a prompt is typed: a list under the field, by mouse or by arrow keys.

const SHOWN = 6;

// names that the last word or words of `text` begin; whole names first
function matching(names, text) {
  const typed = text.toLowerCase().replace(/\s+/g, " ").trimStart();
  const starts = names.filter((name) => name.startsWith(typed));
  const words = names.filter((name) => !name.startsWith(typed) && ` ${name}`.includes(` ${typed}`));
  return [...starts, ...words].slice(0, SHOWN);
}

class Suggest {
  constructor(names) {
    this.names = names;
    this.list = el("ul.suggest", { id: "suggest", role: "listbox", "aria-label": say("knows", { n: names.length }), hidden: true });
    this.at = -1;
    for (const kind of ["input", "focusin"]) document.addEventListener(kind, (event) => this.field(event) && this.offer());
    document.addEventListener("focusout", (event) => this.field(event) && this.close());
    document.addEventListener("keydown", (event) => this.field(event) && this.key(event), true);
  }

  // the prompt's field, where the event came from it
  field(event) {
    if (!event.target.matches?.("#prompt textarea")) return null;
    return (this.text = event.target);
  }

  get wanted() {
    return document.querySelector("#model input")?.value === "builtin" && this.text.value.length < 40;
  }

  offer() {
    const typed = this.text.value;
    const found = typed.trim() ? matching(this.names, typed).filter((name) => name !== typed.toLowerCase()) : this.some();
    if (!this.wanted || !found.length) return this.close();
    this.at = -1;
    const head = el("li.hint", { role: "presentation" }, say("knows", { n: this.names.length }));
    this.list.replaceChildren(...(typed.trim() ? [] : [head]), ...found.map((name, n) => el("li.item", {
      id: `suggest-${n}`, role: "option", onpointerdown: (event) => { event.preventDefault(); this.take(name); } }, name)));
    this.text.closest("#prompt").append(this.list);
    this.list.hidden = false;
    Object.entries({ role: "combobox", "aria-controls": "suggest", "aria-expanded": "true", "aria-autocomplete": "list" })
      .forEach(([name, value]) => this.text.setAttribute(name, value));
  }

  // a few from all over the list, others each time
  some() {
    const from = Math.floor(Math.random() * this.names.length), stride = Math.ceil(this.names.length / SHOWN);
    return Array.from({ length: SHOWN }, (_, n) => this.names[(from + n * stride) % this.names.length]);
  }

  close() {
    this.list.hidden = true;
    this.text?.setAttribute("aria-expanded", "false");
    this.text?.removeAttribute("aria-activedescendant");
  }

  take(name) {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(this.text, name);
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
  }

  key(event) {
    if (this.list.hidden || event.isComposing) return;
    const items = [...this.list.querySelectorAll("[role=option]")];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + step + items.length + (this.at < 0 && step < 0)) % items.length;
      items.forEach((item, n) => item.setAttribute("aria-selected", n === this.at));
      this.text.setAttribute("aria-activedescendant", items[this.at].id);
    } else if (event.key === "Enter" && this.at >= 0 && !event.ctrlKey && !event.metaKey) this.take(items[this.at].textContent);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
