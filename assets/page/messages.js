// Handles the server's messages to the editor: one function for each kind.

import { download, picture, say } from "./dom.js";

const KINDS = { picture: onPicture, mask: onMask, thing: onThing, wait: onWait, step: onStep, result: onResult, item: onItem, strip: onStrip, restored: onRestored, detail: onDetail,
  frame: onFrame, paint: onPaint, stopped: onStopped, file: onFile, clip: onClip, copy: onCopy };

// handles one message; the editor calls this for one after the other, in the order in which they came
export async function handle(editor, message) {
  await KINDS[message?.kind]?.(editor, message);
  if (editor.current !== "run") editor.pointer.locked = false;
  if (message?.say) editor.announce(message.say, message.bad);
  if (message?.field) editor.fault(message.field, message.say);
  if (message?.forgotten) editor.recover();
}

async function onPicture(editor, message) {
  const { view, pointer } = editor, image = await picture(message.src);
  const away = !document.activeElement || document.activeElement === document.body || editor.root.contains(document.activeElement);
  const same = message.keep_mask && pointer.mask && String(message.full) === String(editor.full);
  view.photo.src = message.src;
  view.shown.hidden = true;
  editor.root.classList.remove("stretched");
  Object.assign(editor, { full: message.full, alpha: message.alpha, name: message.name, chosen: null, area: null, base: null });
  view.left(null);
  if (message.opened || message.strip) {
    editor.strip.items = message.strip || [];
    editor.deleted = null;
  }
  editor.root.style.setProperty("--aspect", image.naturalWidth / image.naturalHeight);
  view.detail = message.full[0] / image.naturalWidth;
  view.resize(image.naturalWidth, image.naturalHeight);
  if (same) pointer.replace(image);
  else pointer.begin(image, message.full);
  editor.corner.history(message);
  editor.about.textContent = `${message.name} · ${message.full.join(" × ")}`;
  editor.showStrip();
  editor.mode("paint");
  if (message.mask) await onMask(editor, { src: message.mask });
  editor.busy(false);
  editor.announce("");
  if (message.opened) {
    editor.draft.keep({ mask: null, ...editor.restoring, ...editor.upload.chosen, key: message.key });
    if (!editor.restoring) editor.draft.settings = editor.values ?? null;
    await editor.opened();
  } else editor.trigger("copy", { of: message.n }); // a result was kept: fetch a copy, to restore it after a reload
  view.fit();
  if (away) view.port.focus({ preventScroll: true });
  editor.root.dataset.ready = message.n;
  editor.detail.later();
}

async function onMask(editor, message) {
  editor.pointer.mask.load(await picture(message.src));
  editor.pointer.refresh();
}

function onThing(editor, message) {
  return editor.things.arrived(message);
}

function onWait(editor, message) {
  if (editor.current === "run") editor.progress.set(null, message.text);
}

async function onStep(editor, message) {
  if (editor.current !== "run") return;
  editor.progress.set(message.fraction, message.text);
  if (message.area) editor.area = message.area;
  if (message.src) await show(editor, message.src, editor.area);
  editor.root.dataset.previews = +(editor.root.dataset.previews || 0) + 1;
}

// shows a preview or result; if the picture is being expanded, the view takes its new shape and the mask is hidden
async function show(editor, src, area) {
  const other = await shape(editor, src);
  editor.view.show(src, other ? null : area);
  editor.compare.show(false);
}

// gives the world the shape of this picture; returns whether that is another one than the photo's
export async function shape(editor, src) {
  const image = await picture(src), { view } = editor;
  const [w, h] = [view.photo.naturalWidth, view.photo.naturalHeight];
  const other = Math.abs(image.naturalWidth / image.naturalHeight - w / h) > 0.01;
  editor.root.classList.toggle("stretched", other);
  view.resize(w, other ? (w * image.naturalHeight) / image.naturalWidth : h);
  return other;
}

async function onResult(editor, message) {
  if (editor.current !== "run") return; // another picture was opened meanwhile
  editor.frames = new Map();
  editor.run = { run: message.run, frames: message.frames, branches: message.branches };
  editor.strip.add(message.items);
  editor.forget(message.gone);
  await show(editor, message.items[0].src);
  editor.showResult(message.items[0]);
  editor.corner.history(message);
  if (editor.fresh) editor.compare.begin(editor.pointer.mask);
  editor.fresh = false;
  editor.branch = null;
  if (editor.erasing) editor.take();
}

async function onFrame(editor, message) {
  editor.frames.set(message.index, message.src);
  if (editor.wanted === message.index) await show(editor, message.src, editor.area);
}

async function onItem(editor, message) {
  const item = editor.strip.of(message.id);
  if (!item) return;
  item.src = message.src;
  if (editor.wished === item.id) await editor.choose(item);
}

// not awaited: a part of the picture holds up nothing
function onDetail(editor, message) {
  editor.detail.arrived(message).catch((error) => console.error(error));
}

function onStrip(editor, message) {
  editor.strip.add(message.items);
  editor.showStrip();
  if (message.items.length) editor.announce(say("strip_back", { n: message.items.length }));
}

async function onRestored(editor, message) {
  editor.strip.insert(message.item, message.place);
  await shape(editor, message.item.src);
  editor.showResult(editor.strip.of(message.item.id));
  editor.announce("");
}

function onPaint(editor, message) {
  paint(editor);
  editor.deletedOne(message.gone);
  editor.forget(message.gone);
  editor.corner.history(message);
}

// shows the picture without a result, ready for painting
export function paint(editor) {
  const { view } = editor;
  view.shown.hidden = true;
  editor.chosen = null;
  editor.showStrip();
  editor.root.classList.remove("stretched");
  if (!editor.full) return editor.mode("empty");
  view.resize(view.photo.naturalWidth, view.photo.naturalHeight);
  editor.mode("paint");
}

// ends a run that was cancelled or refused; the last preview stays visible, and the mask is unchanged
function onStopped(editor, message) {
  editor.busy(false);
  if (editor.current !== "run") return;
  if (message.preview) { editor.chosen = null; editor.mode("stopped"); }
  else if (editor.before === "result" && editor.chosen) editor.showResult(editor.chosen);
  else paint(editor);
}

function onFile(editor, message) {
  download(address(message.path), message.name);
}

function onClip(editor, message) {
  editor.clipping?.(fetch(address(message.path)).then((answer) => answer.blob()));
}

async function onCopy(editor, message) {
  const answer = await fetch(address(message.path)).catch(() => null);
  if (!answer?.ok) return;
  const file = await answer.blob();
  if (editor.root.dataset.ready === String(message.of)) editor.draft.keep({ file, name: message.name, example: null });
}

// returns the address of a file of this session
function address(path) {
  const { root = "", api_prefix = "/gradio_api" } = window.gradio_config || {};
  return `${root}${api_prefix}/file=${encodeURI(path)}`;
}
