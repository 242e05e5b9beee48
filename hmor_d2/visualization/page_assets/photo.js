// The photograph with boxes, 2D skeletons and labels.  SVG units are pixels of the original
// picture in continuous coordinates, so that its left edge is 0 and its right edge its width.

const images = new Map(); // decoded pictures by frame, the latest used last
const KEPT_IMAGES = 24;

async function decodedImage(index) {
  let image = images.get(index);
  images.delete(index);
  if (!image) {
    image = new Image();
    image.alt = "";
    image.src = `data:image/jpeg;base64,${page.frames[index].image}`;
    image.decoded = image.decode();
  }
  images.set(index, image);
  if (images.size > KEPT_IMAGES) images.delete(images.keys().next().value);
  await image.decoded;
  return image;
}

// A picture of few pixels as colours for the scene, row by row.
function coarsePixels(image, frame) {
  const side = page.video ? 40 : 72;
  const zoom = side / Math.max(frame.width, frame.height);
  const columns = Math.max(2, Math.round(frame.width * zoom));
  const rows = Math.max(2, Math.round(frame.height * zoom));
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, columns, rows);
  const { data } = context.getImageData(0, 0, columns, rows);
  const colours = [];
  for (let k = 0; k < data.length; k += 4) {
    colours.push(`rgb(${data[k]},${data[k + 1]},${data[k + 2]})`);
  }
  return { columns, rows, colours };
}

// Fits the sheet of picture and drawing into its stage.
function fitSheet(frame) {
  const stage = byId("photo");
  stage.style.setProperty("--ratio", `${frame.width} / ${frame.height}`);
  const zoom = Math.min(stage.clientWidth / frame.width, stage.clientHeight / frame.height);
  const sheet = byId("sheet");
  sheet.style.width = `${frame.width * zoom}px`;
  sheet.style.height = `${frame.height * zoom}px`;
  return zoom;
}

function drawPerson(svg, person, width, opacity) {
  const colours = coloursOf(person);
  const group = svgElement("g", { class: "pose", opacity, "stroke-linecap": "round" }, svg);
  const points = person.keypoints;
  const limbs = page.limbs.filter(([a, b]) => points[a] && points[b]);
  for (const rim of [true, false]) {
    for (const [a, b] of limbs) {
      const [[x1, y1], [x2, y2]] = [points[a], points[b]];
      svgElement("line", {
        x1, y1, x2, y2,
        stroke: rim ? "#191919" : colours[jointSide[b]],
        "stroke-width": rim ? width * 1.55 : width,
        "stroke-opacity": rim ? 0.75 : 1,
      }, group);
    }
  }
  points.forEach((point, j) => point && svgElement("circle", {
    cx: point[0], cy: point[1], r: 0.85 * width,
    fill: colours[jointSide[j]], stroke: "#ffffff", "stroke-width": 0.4 * width,
  }, group));
}

function drawPhoto(frame, selected) {
  const unit = 1 / fitSheet(frame); // pixels of the picture in one of the screen
  const svg = byId("overlay");
  svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  svg.replaceChildren();
  const far = (person) => (person.root ? person.root[2] : Infinity);
  const order = [...frame.people].sort((a, b) => far(b) - far(a));
  const opacity = (person) => (selected === null || selected === person.label ? 1 : 0.35);
  if (byId("show-poses").checked) {
    for (const person of order) {
      const known = person.keypoints.filter(Boolean);
      const extent = [0, 1].map((k) => {
        const values = known.map((point) => point[k]);
        return Math.max(...values) - Math.min(...values);
      });
      const share = known.length ? Math.max(...extent) / Math.max(frame.width, frame.height) : 0;
      const thin = Math.min(1, Math.max(0.4, Math.sqrt(share / 0.4)));
      drawPerson(svg, person, 4.2 * thin * unit, opacity(person));
    }
  }
  if (byId("show-boxes").checked) {
    for (const person of order.filter(({ box }) => box)) {
      const [x, y, right, bottom] = person.box;
      svgElement("rect", {
        class: "box", x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y),
        rx: 3 * unit, fill: "none", stroke: coloursOf(person)[0], "stroke-width": 1.6 * unit,
        opacity: 0.9 * opacity(person),
      }, svg);
    }
    const taken = [];
    for (const person of order.reverse()) { // the nearest person's label finds the best place
      if (!person.box) continue;
      const [x, y, , bottom] = person.box;
      const depth = person.root ? ` · ${metres(person.root[2])}` : "";
      const places = [y - 20 * unit, y + 2 * unit, bottom + 1 * unit].map((top) => [x, top]);
      const colour = coloursOf(person)[0];
      const size = [frame.width, frame.height];
      const label = drawLabel(svg, person.label + depth, colour, places, size, taken, unit);
      label.setAttribute("opacity", opacity(person));
    }
  }
}

// The joint within reach of the pointer, else the smallest box around it.
function photoTarget(event, frame) {
  const bounds = byId("overlay").getBoundingClientRect();
  const unit = frame.width / Math.max(1, bounds.width);
  const x = (event.clientX - bounds.left) * unit;
  const y = (event.clientY - bounds.top) * unit;
  let best = { distance: 14 * unit };
  for (const person of frame.people) {
    person.keypoints.forEach((point, joint) => {
      const distance = point ? Math.hypot(point[0] - x, point[1] - y) : Infinity;
      if (distance < best.distance) best = { distance, person, joint };
    });
  }
  if (best.person) return best;
  const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
  const around = frame.people.filter(
    ({ box }) => box && x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3],
  );
  return { person: around.sort((a, b) => area(a) - area(b))[0] };
}

function photoTip(event, frame) {
  const { person, joint } = photoTarget(event, frame);
  if (!person) return hideTip();
  if (joint === undefined) {
    const score = person.score === null ? [] : [`score ${person.score.toFixed(2)}`];
    return showTip(event, coloursOf(person)[0], [`Person ${person.label}`, ...score]);
  }
  const [x, y, score] = person.keypoints[joint];
  return showTip(event, coloursOf(person)[jointSide[joint]], [
    page.joint_names[joint].replaceAll("_", " "),
    `Person ${person.label}`,
    `x ${x.toFixed(1)}, y ${y.toFixed(1)} px`,
    `score ${score.toFixed(2)}`,
  ]);
}
