// Camera frame and scene, and the solids that bodies are made of.  All lengths in metres.
// Camera frame: X right, Y down, Z forward.  Scene: right, forward along the ground, up.

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const plus = (a, b, scale = 1) => [a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const norm = (a) => Math.hypot(...a);
const unit = (a) => a.map((value) => value / (norm(a) || 1));

// A point of the camera frame in the scene, whose ground is up = 0.
function toScene(ground, point) {
  const [right, forward, up] = ground.axes;
  return [dot(right, point), dot(forward, point), dot(up, point) + ground.height];
}

// The corners of the picture at a depth of 1 in the camera frame: top left, then clockwise.
function pictureCorners(frame) {
  const [fx, fy, cx, cy] = frame.intrinsics;
  const xs = [-cx / fx, (frame.width - cx) / fx];
  const ys = [-cy / fy, (frame.height - cy) / fy];
  return [[xs[0], ys[0], 1], [xs[1], ys[0], 1], [xs[1], ys[1], 1], [xs[0], ys[1], 1]];
}

// Metres between grid lines or rings, so that there are at most `most` of them.
function gridStep(span, most) {
  return [1, 2, 5, 10, 20, 50, 100].find((step) => span / step <= most) || span / most;
}

// Radii of bodies by the end of a joint's name; the first that fits.
const RADII = [
  ["smpl_head", 0.1], ["head_top", 0.03], ["head", 0.03], ["nose", 0.03], ["eye", 0.022], ["ear", 0.022],
  ["neck", 0.042], ["shoulder", 0.046], ["elbow", 0.036], ["wrist", 0.028], ["hand", 0.026],
  ["spine", 0.062], ["pelvis", 0.068], ["hip", 0.062], ["knee", 0.046], ["ankle", 0.034],
  ["toe", 0.026],
];
function jointRadius(name) {
  const found = RADII.find(([end]) => name.endsWith(end));
  return found ? found[1] : 0.035;
}

const SIDES = 12;
const AROUND = Array.from({ length: SIDES }, (_, k) => (2 * Math.PI * k) / SIDES);

// Collects solids as one triangle mesh; each vertex has a number for its colour and a text.
class SolidMesh {
  constructor() {
    for (const field of ["x", "y", "z", "i", "j", "k", "intensity", "text"]) this[field] = [];
  }

  vertex(point, shade, text) {
    this.x.push(point[0]);
    this.y.push(point[1]);
    this.z.push(point[2]);
    this.intensity.push(shade);
    this.text.push(text);
    return this.x.length - 1;
  }

  triangle(a, b, c) {
    this.i.push(a);
    this.j.push(b);
    this.k.push(c);
  }

  // Joins two rings of SIDES vertices that start at indices a and b.
  band(a, b) {
    for (let k = 0; k < SIDES; k++) {
      const next = (k + 1) % SIDES;
      this.triangle(a + k, b + k, b + next);
      this.triangle(a + k, b + next, a + next);
    }
  }

  // An open tube; vertices nearer to an end carry the text of that end.
  tube(a, b, radiusA, radiusB, shade, textA, textB) {
    const along = unit(minus(b, a));
    const other = Math.abs(along[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
    const u = unit(cross(along, other));
    const v = cross(along, u);
    const rings = [0, 0.5, 0.5, 1].map((share, n) => {
      const centre = plus(a, minus(b, a), share);
      const radius = radiusA + share * (radiusB - radiusA);
      const text = n < 2 ? textA : textB;
      const indices = AROUND.map((angle) => {
        const offset = plus(u.map((c) => c * Math.cos(angle)), v, Math.sin(angle));
        return this.vertex(plus(centre, offset, radius), shade, text);
      });
      return indices[0];
    });
    this.band(rings[0], rings[1]);
    this.band(rings[2], rings[3]);
  }

  ball(centre, radius, shade, text) {
    const rings = [-1, -0.65, -0.3, 0, 0.3, 0.65, 1].map((share) => {
      const angle = (share * Math.PI) / 2;
      const flat = radius * Math.cos(angle);
      const indices = AROUND.map((a) => this.vertex(
        plus(centre, [flat * Math.cos(a), flat * Math.sin(a), radius * Math.sin(angle)]),
        shade,
        text,
      ));
      return indices[0];
    });
    for (let k = 1; k < rings.length; k++) this.band(rings[k - 1], rings[k]);
  }
}
