// Ways in: a file, a drop, a paste, the camera, an example.  The file goes to the server as it is.

const TYPES = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff,.png,.jpg,.jpeg,.webp,.gif,.bmp,.tif,.tiff";

class Opening {
  // announce(text, isError) shows a sentence
  constructor(root, announce, begin) {
    this.announce = announce;
    this.begin = begin;
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

  async send(file) {
    if (!file) return this.announce(say("no_file"), true);
    if (file.size > props.limits.bytes) return this.announce(say("too_large", { mb: Math.round(props.limits.bytes / 2 ** 20) }), true);
    this.begin();
    // a few random bytes at the end make the uploaded copy this session's own; the server cuts them off
    const salt = crypto.getRandomValues(new Uint8Array(16));
    try {
      const { path } = await upload(new File([file, salt], file.name || "pasted.png", { type: file.type }));
      trigger("open", { path, name: file.name || "pasted.png" });
    } catch (error) {
      this.announce(say("upload_failed"), true);
    }
  }

  example(name) {
    this.begin();
    trigger("example", { name });
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
    this.root().append(dialog);
    dialog.showModal();
  }

  root() {
    return this.file.parentNode;
  }
}

function welcome(opening) {
  const examples = props.examples.map(({ name, thumb, label }) => el("button.example", {
    type: "button", "aria-label": `${say("example")}: ${label}`, onclick: () => opening.example(name) },
    el("img", { src: thumb, alt: "" })));
  return el("div.welcome", {},
    el("div.frame", { html: icon("open") }),
    el("h2", {}, say("welcome")),
    el("p", {}, say("welcome_hint")),
    el("div.row", {}, button("solid", "open", "choose", () => opening.choose(), true),
      button("quiet", "camera", "camera", () => opening.camera(), true)),
    el("p.or", {}, say("or_example")),
    el("div.examples", {}, ...examples));
}
