import assert from "node:assert/strict";
import { test } from "node:test";

import { Mask, maskSize } from "../../../assets/page/mask.js";

const painted = (mask) => mask.data.reduce((n, v) => n + (v > 0), 0);

test("a mask has its picture's own resolution, or its shape in four megapixels", () => {
  assert.deepEqual(maskSize([1600, 900]), [1600, 900]);
  assert.deepEqual(maskSize([9000, 240]), [9000, 240], "a panorama is not squeezed");
  assert.deepEqual(maskSize([1, 1]), [1, 1]);
  const [w, h] = maskSize([8000, 6000]);
  assert.ok(w * h <= 2 ** 22 * 1.001 && w * h > 2 ** 22 * 0.99 && Math.abs(w / h - 4 / 3) < 0.001);
});

test("undo and redo give back every level, and an edit that changes nothing is no step", () => {
  const mask = new Mask(20, 10), states = [mask.data.slice()];
  const edits = [(d) => { d[25] = 128; }, (d) => d.fill(255, 100, 130), (d) => { d[25] = 0; }];
  for (const edit of edits) { mask.edit(edit); states.push(mask.data.slice()); }
  mask.edit(() => {});
  assert.equal(mask.past.length, 3);
  for (let k = 2; k >= 0; k--) { assert.ok(mask.undo()); assert.deepEqual(mask.data, states[k]); }
  assert.equal(mask.undo(), false);
  for (let k = 1; k <= 3; k++) { assert.ok(mask.redo()); assert.deepEqual(mask.data, states[k]); }
  mask.undo();
  mask.edit((d) => { d[0] = 1; });
  assert.equal(mask.redo(), false, "a new edit ends what could be done again");
});

test("the steps kept are few and small", () => {
  const mask = new Mask(4000, 1000); // each step of the whole mask takes 8 MB
  for (let k = 0; k < 20; k++) mask.invert();
  assert.ok(mask.past.length >= 10 && mask.past.length * 8e6 <= 2 ** 27);
  const small = new Mask(4, 4);
  for (let k = 0; k < 150; k++) small.edit((d) => { d[0] = k + 1; });
  assert.equal(small.past.length, 100);
});

test("invert, fill and the filling of holes", () => {
  const mask = new Mask(12, 12);
  mask.edit((d) => { for (let k = 2; k < 10; k++) for (const i of [24 + k, 108 + k, 12 * k + 2, 12 * k + 9]) d[i] = 255; });
  const ring = painted(mask);
  mask.fillHoles();
  assert.equal(painted(mask), 64);
  mask.invert();
  assert.equal(painted(mask), 144 - 64);
  mask.undo();
  mask.undo();
  assert.equal(painted(mask), ring);
  mask.fill(0);
  assert.ok(mask.empty);
});
