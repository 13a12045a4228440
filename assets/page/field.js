// Mathematics on the mask's grid: flood fill and distances.

function border(w, h) {
  const seeds = [];
  for (let x = 0; x < w; x++) seeds.push(x, (h - 1) * w + x);
  for (let y = 0; y < h; y++) seeds.push(y * w, y * w + w - 1);
  return seeds;
}

// 1 where a 4-connected path of `passes` leads from a seed
function flood(w, h, seeds, passes) {
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

// squared distance of every pixel to the nearest one inside (Felzenszwalb & Huttenlocher 2012)
function distances(w, h, inside) {
  const far = 1e9, grid = new Float32Array(w * h);
  for (let i = 0; i < grid.length; i++) grid[i] = inside(i) ? 0 : far;
  const n = Math.max(w, h), f = new Float32Array(n), v = new Int32Array(n), z = new Float32Array(n + 1);
  const pass = (start, stride, length) => {
    for (let q = 0; q < length; q++) f[q] = grid[start + q * stride];
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
    }
  };
  for (let x = 0; x < w; x++) pass(x, w, h);
  for (let y = 0; y < h; y++) pass(y * w, 1, w);
  return grid;
}
