import assert from "node:assert/strict";
import { test } from "node:test";

import { visible, within } from "../../../assets/page/detail.js";

test("what the window shows, in the picture's own pixels", () => {
  // a picture of 4000 × 3000, its copy of 1600 × 1200 shown at half size, 100 to the right of the window's corner
  const view = { x: 100, y: 0, scale: 0.5, size: [1600, 1200] };
  assert.deepEqual(visible(view, [500, 300], 2.5, 0), [0, 0, 2000, 1500]);
  assert.deepEqual(visible({ ...view, x: -300, y: -200 }, [500, 300], 2.5, 0), [1500, 1000, 4000, 2500]);
  assert.deepEqual(visible({ ...view, x: -300, y: -200 }, [500, 300], 2.5, 0.1), [1250, 850, 4000, 2650]);
  assert.equal(visible({ ...view, x: 900 }, [500, 300], 2.5, 0), null);
});

test("a part is enough if it holds all that is seen", () => {
  assert.ok(within([1, 1, 3, 3], [0, 1, 3, 4]));
  assert.ok(!within([1, 1, 3, 3], [2, 0, 9, 9]));
});
