// Opens pictures: from a file, a drop, a paste, the camera, or an example.  Files are sent to the server unchanged.

import { button, el, icon, language, say } from "./dom.js";

export const TYPES = "image/*,.png,.jpg,.jpeg,.webp,.gif,.bmp,.tif,.tiff,.avif,.heic,.heif";
const SALT = 16; // random bytes added at the end, so that no two visitors share a stored copy; the server removes them

// sends a file to the server; returns its path there, or null after announcing what is wrong
export async function sent(gradio, file, announce) {
  const most = gradio.props.limits.bytes;
  if (!file) announce(say("no_file"), true);
  else if (file.size > most) announce(say("too_large", { mb: Math.round(most / 2 ** 20) }), true);
  else {
    const salt = crypto.getRandomValues(new Uint8Array(SALT));
    try {
      const { path } = await gradio.upload(new File([file, salt], file.name || "pasted.png", { type: file.type }));
      return path;
    } catch (error) {
      announce(say("upload_failed"), true);
    }
  }
  return null;
}

export class Upload {
  // announce(text, isError) shows a sentence; begin() is called before something is sent;
  // `chosen` holds {file, name, example} of the last picture sent
  constructor(root, gradio, announce, begin) {
    Object.assign(this, { root, gradio, announce, begin });
    this.file = el("input.hide", { type: "file", accept: TYPES, "aria-label": say("open"), tabindex: "-1",
      onchange: () => { this.send(this.file.files[0]); this.file.value = ""; } });
    root.append(this.file);
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("dropping"); });
    root.addEventListener("dragleave", () => root.classList.remove("dropping"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("dropping");
      this.send(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files || [])][0];
      if (!file || !root.isConnected || !root.offsetParent) return;
      event.preventDefault();
      this.send(file);
    });
  }

  choose() {
    this.file.click();
  }

  // sends a file; settings are the values of the controls to restore with it after a reload
  async send(file, settings = null) {
    if (file) this.begin();
    const path = await sent(this.gradio, file, this.announce);
    if (!path) return;
    const name = file.name || "pasted.png";
    this.chosen = { file, name, example: null };
    this.gradio.trigger("open", { path, name, settings });
  }

  example(name, settings = null) {
    this.begin();
    this.chosen = { file: null, name, example: name };
    this.gradio.trigger("example", { name, settings });
  }

  async camera() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "environment" } });
    } catch (error) {
      return this.announce(say("no_camera"), true);
    }
    const video = el("video", { autoplay: true, playsinline: true });
    video.muted = true;
    video.srcObject = stream;
    const close = () => { stream.getTracks().forEach((track) => track.stop()); dialog.close(); dialog.remove(); };
    const shoot = () => {
      const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => { close(); this.send(new File([blob], "camera.jpg", { type: "image/jpeg" })); }, "image/jpeg", 0.95);
    };
    const dialog = el("dialog.camera", { "aria-label": say("camera"), oncancel: close }, video,
      el("div.row", {}, button("quiet", "close", "cancel", close, true), button("solid", "camera", "take_photo", shoot, true)));
    this.root.append(dialog);
    dialog.showModal();
  }
}

// builds the view shown before there is a picture; examples: [{name, thumb, label: {en, zh}}]; kept: the link about what is kept
export function welcome(upload, examples, kept) {
  const cards = examples.map(({ name, thumb, label }) => el("button.example", {
    type: "button", "aria-label": `${say("example")}: ${label[language()]}`, onclick: () => upload.example(name) },
    el("img", { src: thumb, alt: "" })));
  return el("div.welcome", {},
    el("div.frame", { html: icon("open") }),
    el("h2", {}, say("welcome")),
    el("p", {}, say("welcome_hint")),
    el("div.row", {}, button("solid", "open", "choose", () => upload.choose(), true),
      button("quiet", "camera", "camera", () => upload.camera(), true)),
    el("p.or", {}, say("or_example")),
    el("div.examples", {}, ...cards), kept);
}
