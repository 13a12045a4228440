import assert from "node:assert/strict";
import { test } from "node:test";

import { kindOf } from "../../../assets/page/things.js";

const circle = (r, part = 1) => Array.from({ length: 40 }, (_, i) => {
  const angle = (2 * Math.PI * part * i) / 39;
  return [200 + r * Math.cos(angle), 150 + r * Math.sin(angle)];
});

test("a click, a line and a loop are told apart by their shape on the screen", () => {
  assert.equal(kindOf([[10, 10]]), "click");
  assert.equal(kindOf([[10, 10], [12, 13]]), "click", "a hand is never quite still");
  assert.equal(kindOf([[10, 10], [80, 14], [160, 12]]), "line");
  assert.equal(kindOf([[10, 10], [80, 60], [20, 90], [90, 120]]), "line", "a zigzag over the thing");
  assert.equal(kindOf(circle(60)), "loop");
  assert.equal(kindOf(circle(60, 0.93)), "loop", "not quite closed");
  assert.equal(kindOf(circle(60, 0.7)), "line", "an arc");
  assert.equal(kindOf(circle(8)), "line", "a scribble on a small spot");
  assert.equal(kindOf([[10, 10], [200, 12], [12, 14]]), "line", "there and back");
});
