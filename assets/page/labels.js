// Translates the labels for screen readers that Gradio has in English only, if the page is in Chinese.

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
  [/^Click to upload or drop files$/, "点击上传或拖入文件"],
];

// returns the Chinese name, or the same name if it is not one of Gradio's
export function chinese(name) {
  for (const [english, zh] of CHINESE) if (english.test(name)) return name.replace(english, zh);
  return name;
}

export function translateLabels() {
  if (language() !== "zh") return;
  const translate = (node) => {
    const name = node.getAttribute?.("aria-label"), translated = name && chinese(name);
    if (translated && translated !== name) node.setAttribute("aria-label", translated);
  };
  const translateAll = (root) => { translate(root); root.querySelectorAll?.("[aria-label]").forEach(translate); };
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") translate(target);
      else addedNodes.forEach(translateAll);
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] });
  translateAll(document.body);
}
