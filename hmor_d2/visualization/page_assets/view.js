// Where the scene is looked at from, and the labels that depend on it.

const FOV_TANGENT = Math.tan(Math.PI / 8); // plotly.js sees 45 degrees vertically

// Where to look from, in plotly.js's units, so that everything of interest fills the stage.
function viewpoint(view, frames, extent, stage) {
  const points = frames.flatMap((frame) => frame.people.flatMap(
    (person) => scenePoints(frame, person).filter(Boolean),
  ));
  const frame = frames[0];
  if (view !== "camera" || !points.length) {
    points.push(toScene(frame.ground, [0, 0, 0]));
    for (const corner of pictureCorners(frame)) {
      points.push(toScene(frame.ground, corner.map((value) => value * extent.cameraSize)));
    }
  }
  if (!frames.some((other) => other.people.length)) {
    points.push([-1.5, 0.8 * extent.high[1], 0], [1.5, 0.8 * extent.high[1], 1.7]);
  }
  const forward = frame.ground.axes.map((axis) => axis[2]);
  const back = {
    aside: unit([0.5, -1, 0.42]),
    camera: unit([0, -forward[1], -Math.min(0, forward[2]) + 0.02]),
    side: unit([1, -0.001, 0.12]),
    top: unit([0, -0.02, 1]),
  }[view];
  const right = unit(cross([0, 0, 1], back));
  const up = cross(back, right);
  const aspect = stage.clientWidth / Math.max(1, stage.clientHeight);
  // Labels stand out of what must be seen: 46 pixels to the sides and at the top.
  const share = (pixels) => Math.max(0.5, 1 - 92 / Math.max(1, pixels));
  const tangents = [
    share(stage.clientWidth) * FOV_TANGENT * aspect, share(stage.clientHeight) * FOV_TANGENT,
  ];
  const range = (values) => [Math.min(...values), Math.max(...values)];
  let target = [0, 1, 2].map((k) => range(points.map((p) => p[k])).reduce((a, b) => a + b) / 2);
  let distance = 1;
  for (let round = 0; round < 4; round++) {
    const seen = points.map((p) => [right, up, back].map((axis) => dot(minus(p, target), axis)));
    distance = Math.max(...seen.flatMap(([s, t, w]) => (
      [w + Math.abs(s) / tangents[0], w + Math.abs(t) / tangents[1]]
    )));
    const middle = [0, 1].map((k) => {
      const [a, b] = range(seen.map((p) => p[k] / (distance - p[2])));
      return ((a + b) / 2) * distance;
    });
    target = plus(plus(target, right, middle[0]), up, middle[1]);
  }
  const eye = plus(target, back, distance);
  const named = ([x, y, z]) => ({ x, y, z });
  return {
    eye: named(toUnits(extent, eye)), center: named(toUnits(extent, target)), up: named([0, 0, 1]),
  };
}

// A point of the scene in plotly.js's units.
function toUnits(extent, point) {
  return minus(point, extent.middle).map((value) => value * extent.unit);
}

// From the scene to pixels of the stage as plotly.js draws it from a camera.
function projector(camera, extent, stage) {
  const vector = ({ x, y, z }) => [x, y, z];
  const eye = vector(camera.eye);
  const back = unit(minus(eye, vector(camera.center)));
  const right = unit(cross(vector(camera.up), back));
  const up = cross(back, right);
  const half = stage.clientHeight / 2;
  return (point) => {
    const seen = minus(toUnits(extent, point), eye);
    const size = half / (FOV_TANGENT * Math.max(1e-3, -dot(seen, back)));
    return [stage.clientWidth / 2 + size * dot(seen, right), half - size * dot(seen, up)];
  };
}

// Pixels upwards by which a label is moved, in turn, until it is free.
const LABEL_SHIFTS = Array.from({ length: 40 }, (_, n) => 6 * n).concat([-26, -52, -78, -104]);

// Labels above heads, the nearest person's where it belongs, others moved where they are free.
function personLabels(frame, selected, camera, extent, stage) {
  const project = projector(camera, extent, stage);
  const people = frame.people.filter((person) => person.root);
  const taken = [];
  const labels = people.sort((a, b) => a.root[2] - b.root[2]).map((person) => {
    const tops = scenePoints(frame, person).filter(Boolean).map((point) => point[2]);
    const [x, y] = toScene(frame.ground, person.root);
    const z = Math.max(...tops) + 0.1;
    const text = `<b>${person.label}</b> · ${metres(person.root[2])}`;
    const [width, height] = [person.label.length * 8 + 62, 24];
    const [column, row] = project([x, y, z]);
    const free = (up) => row - up > height && taken.every(
      ([a, b]) => Math.abs(a - column) >= width || Math.abs(b - row + up) >= height,
    );
    const shift = LABEL_SHIFTS.find(free) || 0;
    taken.push([column, row - shift]);
    const colour = coloursOf(person)[0];
    return {
      x, y, z, text, yshift: shift, showarrow: false, yanchor: "bottom", borderpad: 3,
      bgcolor: colour, opacity: selected === null || selected === person.label ? 1 : 0.35,
      font: { color: inkOn(colour), size: 12 },
    };
  });
  return labels.reverse(); // the nearest lies on top
}
