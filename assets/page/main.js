// Starts the editor in its element, and passes it the server's messages.

import { speak } from "./dom.js";
import { MaskEditor } from "./editor.js";
import { translateLabels } from "./labels.js";
import { Suggest } from "./suggest.js";

// takes the arguments that Gradio passes to the script of a gr.HTML
export function main({ element, props, trigger, watch, upload }) {
  speak(props.words);
  const editor = new MaskEditor(element.querySelector(".editor"), { props, trigger, upload });
  translateLabels();
  if (props.known.length) new Suggest(props.known);
  window.inpaint = { editor, changed: (...settings) => editor.changed(...settings),
    collect: (...settings) => editor.collect(...settings), failed: (sentence) => editor.failed(sentence) };
  watch("value", () => editor.receive(props.value));
  if (props.value) editor.receive(props.value);
}
