// The page's data, and what both flat views draw with: SVG elements, labels, the tooltip.

const page = JSON.parse(document.getElementById("page-data").textContent);
const byId = (id) => document.getElementById(id);

// Black or white, whichever reads better on a colour "#rrggbb".
function inkOn(colour) {
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#101418" : "#ffffff";
}

const metres = (value, digits = 2) => `${value.toFixed(digits).replace("-", "−")} m`;

// Colours of a person: middle, left, right.
const coloursOf = (person) => page.colours[person.colour];

// A joint's colour is that of its side of the body.
const jointSide = page.joint_names.map(
  (name) => (name.startsWith("left_") ? 1 : name.startsWith("right_") ? 2 : 0),
);

// Joints of a person in the scene's axes, null where unknown; computed once.
const placed = new WeakMap();
function scenePoints(frame, person) {
  if (!placed.has(person)) {
    placed.set(person, person.pose.map((point) => point && toScene(frame.ground, point)));
  }
  return placed.get(person);
}

function svgElement(name, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// Writes a label into the first place [x, y] (its top left corner) that is inside width x height
// and free; the first place, moved inside, where none is free.  `taken` collects rectangles.
function drawLabel(svg, text, colour, places, bounds, taken, unit = 1) {
  const group = svgElement("g", { class: "label" }, svg);
  const label = svgElement("text", {
    "font-size": 12 * unit, "font-weight": 600, fill: inkOn(colour), "dominant-baseline": "central",
  }, group, text);
  const width = label.getComputedTextLength() + 12 * unit;
  const height = 19 * unit;
  const inside = places.map(([x, y]) => [
    Math.max(0, Math.min(x, bounds[0] - width)), Math.max(0, Math.min(y, bounds[1] - height)),
  ]);
  const free = inside.find(([x, y]) => taken.every(
    ([a, b, c, d]) => x >= c || x + width <= a || y >= d || y + height <= b,
  ));
  const [x, y] = free || inside[0];
  taken.push([x, y, x + width, y + height]);
  const shape = { x, y, width, height, rx: 5 * unit, fill: colour };
  group.prepend(svgElement("rect", shape));
  label.setAttribute("x", x + 6 * unit);
  label.setAttribute("y", y + height / 2);
  return group;
}

// Shows lines of text near the pointer; the first one is bold.
function showTip(event, colour, lines) {
  const tip = byId("tip");
  const parts = lines.map((line, n) => {
    const part = document.createElement(n ? "div" : "b");
    part.textContent = line;
    return part;
  });
  tip.replaceChildren(...parts);
  tip.style.borderColor = colour;
  tip.hidden = false;
  const right = event.clientX + 16 + tip.offsetWidth < innerWidth;
  const left = right ? event.clientX + 16 : Math.max(4, event.clientX - 12 - tip.offsetWidth);
  const top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6);
  tip.style.transform = `translate(${left}px, ${top}px)`;
}

function hideTip() {
  byId("tip").hidden = true;
}
