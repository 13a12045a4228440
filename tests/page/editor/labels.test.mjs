import assert from "node:assert/strict";
import { test } from "node:test";

import { chinese } from "../../../assets/page/labels.js";
import { matching } from "../../../assets/page/suggest.js";

test("Gradio's own names are Chinese, others stay", () => {
  assert.equal(chinese("number input for 步数"), "步数（数值）");
  assert.equal(chinese("Reset to default value"), "恢复默认值");
  assert.equal(chinese("Click to upload or drop files"), "点击上传或拖入文件");
  assert.equal(chinese("画笔"), "画笔");
  assert.equal(chinese(chinese("range slider for 步数")), "步数（滑块）");
});

test("names that begin as typed come first, then those with such a word", () => {
  assert.deepEqual(matching(["red apple", "apple", "grape", "woman’s hat"], " App"), ["apple", "red apple"]);
  assert.deepEqual(matching(["woman’s hat"], "woman's"), ["woman’s hat"]);
});

