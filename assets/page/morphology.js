// Computes on the mask's grid: flood fill, distances, dilation and erosion.

// returns the indices of the grid's outermost pixels
export function border(w, h) {
  const seeds = [];
  for (let x = 0; x < w; x++) seeds.push(x, (h - 1) * w + x);
  for (let y = 0; y < h; y++) seeds.push(y * w, y * w + w - 1);
  return seeds;
}

// returns 1 for each pixel that a 4-connected path of pixels i with passes(i) reaches from a seed, else 0
export function flood(w, h, seeds, passes) {
  const seen = new Uint8Array(w * h);
  const stack = [];
  const visit = (i) => { if (!seen[i] && passes(i)) { seen[i] = 1; stack.push(i); } };
  seeds.forEach(visit);
  while (stack.length) {
    const i = stack.pop(), x = i % w;
    if (x) visit(i - 1);
    if (x < w - 1) visit(i + 1);
    if (i >= w) visit(i - w);
    if (i < w * (h - 1)) visit(i + w);
  }
  return seen;
}

// returns each pixel's squared distance to the nearest pixel i with inside(i) (Felzenszwalb & Huttenlocher 2012);
// `nearest` receives the index of that pixel
export function distances(w, h, inside, nearest = new Int32Array(w * h)) {
  const far = 1e9, grid = new Float32Array(w * h);
  for (let i = 0; i < grid.length; i++) { grid[i] = inside(i) ? 0 : far; nearest[i] = i; }
  const n = Math.max(w, h), f = new Float32Array(n), from = new Int32Array(n), v = new Int32Array(n), z = new Float32Array(n + 1);
  const pass = (start, stride, length) => {
    for (let q = 0; q < length; q++) { f[q] = grid[start + q * stride]; from[q] = nearest[start + q * stride]; }
    let k = 0;
    v[0] = 0; z[0] = -far; z[1] = far;
    for (let q = 1; q < length; q++) {
      let s;
      do {
        const p = v[k];
        s = (f[q] + q * q - f[p] - p * p) / (2 * (q - p));
      } while (s <= z[k] && --k >= 0);
      v[++k] = q; z[k] = s; z[k + 1] = far;
    }
    for (let q = 0, j = 0; q < length; q++) {
      while (z[j + 1] < q) j++;
      grid[start + q * stride] = (q - v[j]) ** 2 + f[v[j]];
      nearest[start + q * stride] = from[v[j]];
    }
  };
  for (let x = 0; x < w; x++) pass(x, w, h);
  for (let y = 0; y < h; y++) pass(y * w, 1, w);
  return grid;
}

// returns [x0, y0, x1, y1] around the pixels i with holds(i), or null if there are none
export function boundingBox(w, h, holds) {
  let [x0, y0, x1, y1] = [w, h, 0, 0];
  for (let y = 0, i = 0; y < h; y++) {
    for (let x = 0; x < w; x++, i++) {
      if (!holds(i)) continue;
      if (x < x0) x0 = x;
      if (x >= x1) x1 = x + 1;
      if (y < y0) y0 = y;
      y1 = y + 1;
    }
  }
  return x1 ? [x0, y0, x1, y1] : null;
}

// returns a copy of the levels, dilated by this many pixels (eroded if negative) with a soft edge of one pixel;
// added pixels get the level of the nearest one inside, and levels inside stay
export function grown(data, w, h, by) {
  const box = boundingBox(w, h, (i) => data[i]), out = data.slice();
  if (!box || !by) return out;
  const reach = Math.max(by, 0) + 1;
  const x0 = Math.max(0, Math.floor(box[0] - reach)), y0 = Math.max(0, Math.floor(box[1] - reach));
  const cols = Math.min(w, Math.ceil(box[2] + reach)) - x0, rows = Math.min(h, Math.ceil(box[3] + reach)) - y0;
  const at = (k) => (y0 + Math.floor(k / cols)) * w + x0 + (k % cols), nearest = new Int32Array(cols * rows);
  const far = distances(cols, rows, (k) => (data[at(k)] >= 128) === by > 0, nearest);
  for (let k = 0; k < far.length; k++) {
    if (far[k] > (reach + Math.abs(by)) ** 2) continue;
    const i = at(k), share = Math.min(1, Math.max(0, Math.abs(by) - Math.sqrt(far[k]) + 0.5));
    if (by < 0) out[i] = Math.min(data[i], data[i] * (1 - share));
    else if (far[k]) out[i] = Math.max(data[i], data[at(nearest[k])] * share);
  }
  return out;
}
