import assert from "node:assert/strict";
import { test } from "node:test";

import { Mask } from "../../../assets/page/mask.js";
import { Stroke, corners, pickColour, stamp } from "../../../assets/page/strokes.js";

const BRUSH = { size: 20, hardness: 0.9, opacity: 1, erase: false };
const at = (mask, x, y) => mask.data[y * mask.w + x];
const line = (mask, brush, from, to) => {
  const stroke = new Stroke(mask, brush);
  const box = stroke.line([...from, 1], [...to, 1]);
  return [stroke, box];
};

test("a stroke is a capsule as wide as the brush, and only its box is touched", () => {
  const mask = new Mask(100, 60);
  const [stroke, box] = line(mask, BRUSH, [30, 30], [70, 30]);
  assert.equal(at(mask, 50, 30), 255);
  assert.equal(at(mask, 50, 21), at(mask, 50, 38), "the same above as below");
  assert.equal(at(mask, 50, 41), 0);
  assert.equal(at(mask, 18, 30), 0);
  assert.deepEqual(box, [19, 19, 81, 41]);
  assert.deepEqual(stroke.commit(), [20, 20, 80, 40]);
  assert.equal(mask.past.length, 1);
});

test("opacity is a level: a stroke over itself adds nothing, a second stroke neither", () => {
  const mask = new Mask(100, 60), faint = { ...BRUSH, opacity: 0.4 };
  const [stroke] = line(mask, faint, [30, 30], [70, 30]);
  stroke.line([70, 30, 1], [30, 30, 1]);
  stroke.commit();
  assert.equal(at(mask, 50, 30), 102);
  line(mask, faint, [50, 10], [50, 50])[0].commit();
  assert.equal(at(mask, 50, 30), 102);
});

test("an eraser takes away in proportion, and an abandoned stroke leaves no trace", () => {
  const mask = new Mask(60, 60);
  mask.fill(200);
  line(mask, { ...BRUSH, erase: true, opacity: 0.5 }, [30, 30], [30, 30])[0].commit();
  assert.equal(at(mask, 30, 30), 100);
  const before = mask.data.slice();
  line(mask, BRUSH, [10, 10], [50, 50])[0].abandon();
  assert.deepEqual(mask.data, before);
});

test("a thin brush still paints, and pressure makes it thinner", () => {
  const mask = new Mask(40, 20);
  line(mask, { ...BRUSH, size: 2 }, [5, 10], [35, 10])[0].commit();
  assert.ok(at(mask, 20, 10) > 127 || at(mask, 20, 9) > 127);
  const pen = new Mask(100, 60), stroke = new Stroke(pen, { ...BRUSH, size: 40 });
  stroke.line([20, 30, 0.35], [80, 30, 0.35]);
  assert.equal(at(pen, 50, 40), 0);
});

test("a pick takes what is alike and touches, or all that is alike", () => {
  const mask = new Mask(6, 1), rgba = new Uint8ClampedArray(24).fill(255);
  [10, 12, 200, 11, 10, 90].forEach((grey, x) => rgba.fill(grey, 4 * x, 4 * x + 3));
  pickColour(mask, rgba, 0.5, 0.5, 5, false, BRUSH);
  assert.deepEqual([...mask.data], [255, 255, 0, 0, 0, 0]);
  pickColour(mask, rgba, 0.5, 0.5, 5, true, BRUSH);
  assert.deepEqual([...mask.data], [255, 255, 0, 255, 255, 0]);
  pickColour(mask, rgba, 99, 99, 5, false, { ...BRUSH, erase: true }); // a place outside counts as the nearest inside
  assert.deepEqual([...mask.data], [255, 255, 0, 255, 255, 0]);
});

test("a stamp keeps the stronger level; the corners of a box come in order", () => {
  const data = new Uint8ClampedArray([0, 100, 255]);
  stamp(data, () => 128, BRUSH);
  assert.deepEqual([...data], [128, 128, 255]);
  assert.deepEqual(corners([1, 2], [5, 7]), [[1, 2], [5, 2], [5, 7], [1, 7]]);
});
