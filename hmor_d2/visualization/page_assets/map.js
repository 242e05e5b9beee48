// The map from above: right and forward along the ground, the field of view, rings of distance.

// From the ground to the screen: a function of [right, forward], and pixels a metre.
function mapScale(frames, width, height) {
  const xs = [-0.8, 0.8];
  const ys = [2];
  for (const frame of frames) {
    for (const person of frame.people) {
      for (const point of scenePoints(frame, person).filter(Boolean)) {
        xs.push(point[0]);
        ys.push(point[1]);
      }
    }
  }
  const bound = (values, pick) => values.reduce((best, value) => pick(best, value));
  const [left, right] = [bound(xs, Math.min) - 0.4, bound(xs, Math.max) + 0.4];
  const [near, far] = [Math.min(-0.3, bound(ys, Math.min) - 0.3), bound(ys, Math.max) + 0.5];
  const perMetre = Math.min(width / (right - left), (height - 26) / (far - near));
  const middle = (left + right) / 2;
  const bottom = height / 2 + ((near + far) / 2) * perMetre + 10;
  return {
    perMetre,
    toScreen: ([x, y]) => [width / 2 + (x - middle) * perMetre, bottom - y * perMetre],
  };
}

function drawField(svg, frame, scale, width, height) {
  const { toScreen, perMetre } = scale;
  const [x0, y0] = toScreen([0, 0]);
  const reach = Math.hypot(width, height) / perMetre;
  const corners = pictureCorners(frame);
  // Left and right edge of the picture at half its height.
  const edges = [[0, 3], [1, 2]].map(([a, b]) => {
    const ray = plus(corners[a], corners[b]).map((value) => value / 2);
    const flat = frame.ground.axes.slice(0, 2).map((axis) => dot(axis, ray));
    const length = Math.hypot(...flat) || 1;
    return toScreen(flat.map((value) => (value / length) * 2 * reach));
  });
  const corner = edges.map((edge) => edge.join(",")).join(" ");
  svgElement("polygon", { class: "field", points: `${x0},${y0} ${corner}`, fill: "#e8f0fa" }, svg);
  for (const [x2, y2] of edges) {
    svgElement("line", { x1: x0, y1: y0, x2, y2, stroke: "#bccfe6" }, svg);
  }
  const top = Math.max(y0, 1) / perMetre;
  const step = gridStep(top, Math.max(3, Math.min(8, height / 34)));
  const style = { fill: "none", stroke: "#c6d0da", "stroke-dasharray": "3 3" };
  for (let n = 1; n * step < reach; n++) {
    const r = n * step * perMetre;
    svgElement("circle", { class: "ring", cx: x0, cy: y0, r, ...style }, svg);
    const text = {
      x: x0, y: y0 - r, fill: "#7d8b99", "font-size": 11, "text-anchor": "middle",
      "dominant-baseline": "central", stroke: "#e8f0fa", "stroke-width": 4, "paint-order": "stroke",
    };
    svgElement("text", text, svg, `${n * step} m`);
  }
  const shape = `M${x0} ${y0 - 3}l7 -9h-14zM${x0 - 8} ${y0 - 3}h16v11h-16z`;
  svgElement("path", { class: "camera", d: shape, fill: "#3d4b59" }, svg);
}

function drawMap(frame, frames, selected, onSelect) {
  const svg = byId("map");
  const { clientWidth: width, clientHeight: height } = byId("map-stage");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  if (!width || !height) return;
  const scale = mapScale(frames, width, height);
  drawField(svg, frame, scale, width, height);
  const people = frame.people.filter((person) => person.root);
  people.sort((a, b) => b.root[2] - a.root[2]);
  const circles = [];
  for (const person of people) {
    const colours = coloursOf(person);
    const points = scenePoints(frame, person);
    const root = toScene(frame.ground, person.root);
    const [cx, cy] = scale.toScreen(root);
    const r = Math.max(7, 0.32 * scale.perMetre);
    const opacity = selected === null || selected === person.label ? 1 : 0.35;
    const group = svgElement("g", { class: "person", opacity, cursor: "pointer" }, svg);
    svgElement("circle", {
      cx, cy, r, fill: colours[0], "fill-opacity": 0.16, stroke: colours[0], "stroke-width": 1.5,
    }, group);
    for (const [a, b] of page.limbs) {
      if (!points[a] || !points[b]) continue;
      const [[x1, y1], [x2, y2]] = [scale.toScreen(points[a]), scale.toScreen(points[b])];
      svgElement("line", {
        x1, y1, x2, y2, stroke: colours[jointSide[b]], "stroke-width": 2.6,
        "stroke-linecap": "round",
      }, group);
    }
    group.addEventListener("click", () => onSelect(person.label));
    group.addEventListener("pointermove", (event) => showTip(event, colours[0], [
      `Person ${person.label}`,
      `X ${metres(person.root[0])}`,
      `Z ${metres(person.root[2])} (depth)`,
    ]));
    group.addEventListener("pointerleave", hideTip);
    circles.push({ person, cx, cy, r, opacity });
  }
  const taken = circles.map(({ cx, cy, r }) => [cx - 0.7 * r, cy - 0.7 * r, cx + 0.7 * r, cy + 0.7 * r]);
  for (const { person, cx, cy, r, opacity } of circles.reverse()) {
    const columns = [-36, r + 3, -r - 78, 6, -80];
    const rows = [-r - 21, -10, r + 3, -r - 42, r + 24, -r - 63, r + 45];
    const away = ([x, y]) => Math.hypot(x + 36, 2 * (y + 10));
    const places = columns.flatMap((x) => rows.map((y) => [x, y]))
      .sort((a, b) => away(a) - away(b))
      .map(([x, y]) => [cx + x, cy + y]);
    const text = `${person.label} · ${metres(person.root[2])}`;
    const label = drawLabel(svg, text, coloursOf(person)[0], places, [width, height], taken);
    label.setAttribute("opacity", opacity);
    label.setAttribute("pointer-events", "none");
    const [x, y, wide, high] = ["x", "y", "width", "height"].map(
      (name) => Number(label.firstChild.getAttribute(name)),
    );
    const [x2, y2] = [x + wide / 2, y + high / 2];
    if (Math.abs(y2 - cy) > r + 14) { // moved away: a line says whose it is
      const leader = { x1: cx, y1: cy, x2, y2, stroke: coloursOf(person)[0], opacity };
      svg.insertBefore(svgElement("line", leader), svg.querySelector(".person"));
    }
  }
}
