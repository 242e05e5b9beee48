// The scene that can be turned: people as solids, their shadows, the ground, the camera.

const palette = [...new Map(Object.values(page.colours).map((c) => [c[0], c])).values()];
const paletteIndex = new Map(palette.map((colours, index) => [colours[0], index]));
const SHADES = Math.max(1, palette.length) * 3 * 2; // side of the body, lit or dimmed

function mixColour(colour, other, share) {
  const parse = (text) => [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));
  const [a, b] = [parse(colour), parse(other)];
  return `rgb(${a.map((value, k) => Math.round(value + share * (b[k] - value))).join(",")})`;
}

function colourScale() {
  const stops = [];
  palette.forEach((colours, p) => colours.forEach((colour, side) => [0, 0.8].forEach((dim, d) => {
    const n = (p * 3 + side) * 2 + d;
    const shade = mixColour(colour, "#eef2f5", dim);
    stops.push([n / SHADES, shade], [(n + 1) / SHADES, shade]);
  })));
  const used = stops.length / 2;
  stops.push([used / SHADES, "#888888"], [1, "#888888"]);
  return stops;
}
const scale = colourScale();

function shadeOf(person, side, dimmed) {
  const index = paletteIndex.get(page.colours[person.colour][0]);
  return (index * 3 + side) * 2 + (dimmed ? 1 : 0) + 0.5;
}

function jointText(person, joint) {
  const [x, y, z] = person.pose[joint].map((value) => value.toFixed(2).replace("-", "−"));
  const name = page.joint_names[joint].replaceAll("_", " ");
  return `<b>Person ${person.label}</b> · ${name}<br>X ${x} m<br>Y ${y} m<br>Z ${z} m`;
}

// The head as a ball: which joints its centre lies between, how far along, and its radius.
const HEADS = [
  ["head", "head_top", 0.55, 0.105], ["neck", "head_top", 0.72, 0.105],
  ["left_ear", "right_ear", 0.5, 0.095], ["neck", "nose", 0.85, 0.095],
];

function addHead(mesh, person, points, dimmed) {
  const index = (name) => page.joint_names.indexOf(name);
  const found = HEADS.find(([a, b]) => points[index(a)] && points[index(b)]);
  if (!found) return;
  const [a, b] = [index(found[0]), index(found[1])];
  const centre = plus(points[a], minus(points[b], points[a]), found[2]);
  mesh.ball(centre, found[3], shadeOf(person, 0, dimmed), jointText(person, b));
}

function peopleTrace(frame, selected) {
  const mesh = new SolidMesh();
  for (const person of frame.people) {
    const dimmed = selected !== null && selected !== person.label;
    const points = scenePoints(frame, person);
    const texts = points.map((point, j) => point && jointText(person, j));
    const radii = page.joint_names.map(jointRadius);
    points.forEach((point, j) => {
      if (point) mesh.ball(point, radii[j], shadeOf(person, jointSide[j], dimmed), texts[j]);
    });
    addHead(mesh, person, points, dimmed);
    for (const [a, b] of page.limbs) {
      if (!points[a] || !points[b]) continue;
      const ends = [a, b].map((j) => 0.92 * radii[j]);
      const shade = shadeOf(person, jointSide[b], dimmed);
      mesh.tube(points[a], points[b], ...ends, shade, texts[a], texts[b]);
    }
  }
  return {
    type: "mesh3d", ...mesh, visible: mesh.x.length > 0, hoverinfo: "text", showscale: false,
    colorscale: scale, cmin: 0, cmax: SHADES, flatshading: false,
    lighting: { ambient: 0.62, diffuse: 0.62, specular: 0.12, roughness: 0.7, fresnel: 0.05 },
    lightposition: { x: -3000, y: -6000, z: 12000 },
  };
}

function lineTrace(segments, color, width, extra = {}) {
  const axis = (k) => segments.flatMap(([a, b]) => [a[k], b[k], null]);
  return {
    type: "scatter3d", mode: "lines", x: axis(0), y: axis(1), z: axis(2), hoverinfo: "skip",
    line: { color, width }, visible: segments.length > 0, ...extra,
  };
}

function shadowTrace(frame) {
  const segments = [];
  for (const person of frame.people) {
    const points = scenePoints(frame, person).map((p) => p && [p[0], p[1], 0.004]);
    for (const [a, b] of page.limbs) if (points[a] && points[b]) segments.push([points[a], points[b]]);
  }
  return lineTrace(segments, "#c3ced9", 7);
}

function groundTraces(extent) {
  const { low, high, step } = extent;
  const lines = [];
  const marks = [];
  const ahead = [[[0, 0, 0.002], [0, high[1], 0.002]]];
  for (let x = low[0]; x <= high[0] + 1e-6; x += step) lines.push([[x, low[1], 0], [x, high[1], 0]]);
  for (let y = low[1]; y <= high[1] + 1e-6; y += step) {
    lines.push([[low[0], y, 0], [high[0], y, 0]]);
    if (y > 1e-6) marks.push(y);
  }
  return [
    {
      type: "mesh3d", hoverinfo: "skip", color: "#dfe8f1", opacity: 0.6, lighting: { ambient: 1, diffuse: 0 },
      x: [low[0], high[0], high[0], low[0]], y: [low[1], low[1], high[1], high[1]],
      z: [-0.01, -0.01, -0.01, -0.01], i: [0, 0], j: [1, 2], k: [2, 3],
    },
    lineTrace(lines, "#c9d4df", 1.5),
    lineTrace(ahead, "#9fb0c1", 2.5),
    {
      type: "scatter3d", mode: "text", hoverinfo: "skip", x: marks.map(() => 0.06), y: marks,
      z: marks.map(() => 0.03), text: marks.map((y) => `${y} m`), textposition: "middle right",
      textfont: { color: "#6b7a89", size: 11 },
      // A trace of its own for each number of texts: plotly.js draws added ones in another size.
      uid: `marks${marks.length}`,
    },
  ];
}

function cameraTraces(frame, extent, image) {
  const apex = toScene(frame.ground, [0, 0, 0]);
  const size = extent.cameraSize;
  const corners = pictureCorners(frame);
  const place = (point) => toScene(frame.ground, point.map((value) => value * size));
  const base = corners.map(place);
  const edges = base.map((corner) => [apex, corner]);
  base.forEach((corner, k) => edges.push([corner, base[(k + 1) % 4]]));
  edges.push([apex, [apex[0], apex[1], 0]]);
  const lines = lineTrace(edges, "#3d4b59", 3);
  // The photograph stands on the base of the pyramid, a coloured vertex for each coarse pixel.
  const { columns, rows, colours } = coarsePixels(image, frame);
  const picture = { x: [], y: [], z: [], i: [], j: [], k: [] };
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const [s, t] = [c / (columns - 1), r / (rows - 1)];
      const point = place([
        corners[0][0] + s * (corners[1][0] - corners[0][0]),
        corners[0][1] + t * (corners[3][1] - corners[0][1]),
        1,
      ]);
      ["x", "y", "z"].forEach((axis, n) => picture[axis].push(point[n]));
      if (r && c) {
        const here = r * columns + c;
        picture.i.push(here, here);
        picture.j.push(here - 1, here - columns - 1);
        picture.k.push(here - columns - 1, here - columns);
      }
    }
  }
  const flat = { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 };
  return [lines, {
    type: "mesh3d", ...picture, vertexcolor: colours, hoverinfo: "skip", lighting: flat,
  }];
}

function sceneExtent(frames) {
  const points = frames.flatMap((frame) => frame.people.flatMap(
    (person) => scenePoints(frame, person).filter(Boolean),
  ));
  const depths = frames.flatMap((frame) => frame.people.map((p) => (p.root ? p.root[2] : NaN)));
  const nearest = Math.min(3, ...depths.filter((depth) => depth > 0));
  const cameraSize = Math.max(0.2, Math.min(0.5, 0.16 * nearest));
  for (const frame of frames) {
    points.push(toScene(frame.ground, [0, 0, 0]), [-1, -0.4, 0], [1, 3, 1.8]);
    for (const corner of pictureCorners(frame)) {
      points.push(toScene(frame.ground, corner.map((value) => value * cameraSize)));
    }
  }
  const bound = (k, pick) => points.reduce((best, point) => pick(best, point[k]), points[0][k]);
  const low = [0, 1, 2].map((k) => bound(k, Math.min) - 0.35);
  const high = [0, 1, 2].map((k) => bound(k, Math.max) + 0.35);
  const step = gridStep(Math.max(high[0] - low[0], high[1] - low[1]), 10);
  for (const k of [0, 1]) {
    low[k] = Math.floor(low[k] / step) * step;
    high[k] = Math.ceil(high[k] / step) * step;
  }
  const span = minus(high, low);
  const middle = plus(low, span, 0.5);
  return { low, high, step, span, middle, unit: 1 / Math.max(...span), cameraSize };
}
