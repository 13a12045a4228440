// Names that Gradio gives its own parts in English only, for screen readers: in Chinese where the page is.

import { language } from "./dom.js";

const CHINESE = [
  [/^number input for (.*)$/, "$1（数值）"],
  [/^range slider for (.*)$/, "$1（滑块）"],
  [/^Reset to default value$/, "恢复默认值"],
  [/^More tabs$/, "更多标签页"],
  [/^Gradio footer navigation$/, "页脚"],
  [/^Textbox$/, "文本"],
  [/^Remove this file$/, "移除此文件"],
  [/^common\.upload$/, "上传"],
];

// the Chinese name, or the same if it is not one of Gradio's
export function chinese(name) {
  for (const [english, zh] of CHINESE) if (english.test(name)) return name.replace(english, zh);
  return name;
}

export function translateLabels() {
  if (language() !== "zh") return;
  const mend = (node) => {
    const name = node.getAttribute?.("aria-label"), better = name && chinese(name);
    if (better && better !== name) node.setAttribute("aria-label", better);
  };
  const mendAll = (root) => { mend(root); root.querySelectorAll?.("[aria-label]").forEach(mend); };
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") mend(target);
      else addedNodes.forEach(mendAll);
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] });
  mendAll(document.body);
}
