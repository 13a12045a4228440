// `node --test tests/page/editor` runs these.

import assert from "node:assert/strict";
import { test } from "node:test";

import { border, boundingBox, distances, flood, grown } from "../../../assets/page/morphology.js";

const grid = (...rows) => [rows[0].length, rows.length, [...rows.join("")].map((c) => (c === "#" ? 255 : 0))];
const pseudoRandom = (seed) => () => { seed = (seed * 1103515245 + 12345) % 2 ** 31; return seed / 2 ** 31; };

test("distances equal those found by looking at every pixel", () => {
  const random = pseudoRandom(7), w = 23, h = 17, inside = Array.from({ length: w * h }, () => random() < 0.03);
  const sources = new Int32Array(w * h), found = distances(w, h, (i) => inside[i], sources);
  for (let i = 0; i < w * h; i++) {
    let nearest = Infinity;
    for (let k = 0; k < w * h; k++) {
      if (inside[k]) nearest = Math.min(nearest, ((i % w) - (k % w)) ** 2 + (Math.floor(i / w) - Math.floor(k / w)) ** 2);
    }
    assert.equal(found[i], nearest);
    assert.ok(inside[sources[i]]);
  }
});

test("a flood goes round walls and not across corners", () => {
  const [w, h, cells] = grid(".#..", "##..", "....", "..#.");
  const seen = flood(w, h, [2], (i) => !cells[i]);
  assert.equal(seen[0], 0);
  assert.equal(seen[8], 1);
  assert.equal([...flood(w, h, border(w, h), (i) => !cells[i])].reduce((a, b) => a + b), 12);
});

test("a bounding box fits tightly, and nothing has none", () => {
  const [w, h, cells] = grid("......", "..##..", "...#..");
  assert.deepEqual(boundingBox(w, h, (i) => cells[i]), [2, 1, 4, 3]);
  assert.equal(boundingBox(w, h, () => false), null);
});

test("dilating adds a disc, eroding takes it away, and levels inside stay", () => {
  const w = 41, h = 31, data = new Uint8ClampedArray(w * h);
  for (let y = 10; y < 20; y++) for (let x = 10; x < 20; x++) data[y * w + x] = 200;
  const more = grown(data, w, h, 5), less = grown(data, w, h, -3);
  assert.equal(more[15 * w + 15], 200);
  assert.equal(more[15 * w + 23], 200);
  assert.equal(more[15 * w + 24], 100); // 5 pixels from the edge at x = 19
  assert.equal(more[15 * w + 26], 0);
  assert.equal(more[6 * w + 6], 0, "corners are round");
  assert.equal(less[15 * w + 15], 200);
  assert.equal(less[15 * w + 11], 0);
  assert.deepEqual(grown(data, w, h, 0), data);
  assert.deepEqual(grown(new Uint8ClampedArray(w * h), w, h, 9), new Uint8ClampedArray(w * h));
});

test("dilating at the picture's edge stays inside it", () => {
  const w = 8, h = 6, data = new Uint8ClampedArray(w * h);
  data[0] = 255;
  const more = grown(data, w, h, 3);
  assert.equal(more[2], 255);
  assert.equal(more[3], 128);
  assert.equal(more[w - 1], 0);
  assert.equal(more[w + 1], 255);
});
