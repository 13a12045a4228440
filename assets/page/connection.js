// Detects during a run that the server cannot be reached; Gradio itself would only wait, and later reload the page.

import { say } from "./dom.js";

const QUIET = 4000, EVERY = 2000; // milliseconds without a message from the server, and between two checks

export function watchConnection(editor) {
  setInterval(async () => {
    if (editor.current !== "run" || performance.now() - editor.heard < QUIET) return;
    const { root = "", api_prefix = "/gradio_api" } = window.gradio_config || {};
    try {
      await fetch(`${root}${api_prefix}/app_id`, { cache: "no-store", signal: AbortSignal.timeout(15_000) });
    } catch (error) {
      if (editor.current === "run") editor.failed(say("lost"));
    }
  }, EVERY);
}
