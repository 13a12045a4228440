// Notices during a run that the server is gone: Gradio itself says nothing more then, waits, and reloads the page.

import { say } from "./dom.js";

const QUIET = 4000, EVERY = 2000; // milliseconds without a word from the server, and between two looks

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
