// What the page shows now: the frame, the person singled out, the view; and what changes it.

const state = { frame: 0, selected: null, view: "aside", playing: false };
const wholeExtent = page.video ? sceneExtent(page.frames) : null;
const fixedGround = page.video ? groundTraces(wholeExtent) : null;
const sceneStage = byId("space");
let rendering = null;

const sceneCamera = () => sceneStage._fullLayout.scene._scene.getCamera();

// A video's views show the room that all of its frames need, so that they stay still.
const framesInView = () => (page.video ? page.frames : [page.frames[state.frame]]);

async function drawScene(frame, image, newView) {
  const extent = wholeExtent || sceneExtent([frame]);
  const traces = [
    ...(fixedGround || groundTraces(extent)),
    shadowTrace(frame),
    ...cameraTraces(frame, extent, image),
    peopleTrace(frame, state.selected),
  ];
  // Hidden piece by piece: plotly.js compiles shaders anew at each drawing of an invisible axis.
  const hidden = {
    showgrid: false, zeroline: false, showline: false, showticklabels: false, ticks: "",
    showbackground: false, showspikes: false, title: { text: "" }, tickmode: "array", tickvals: [],
  };
  const axis = (k) => ({ ...hidden, range: [extent.low[k], extent.high[k]] });
  const [x, y, z] = extent.span.map((value) => value * extent.unit);
  const camera = newView
    ? viewpoint(state.view, framesInView(), extent, sceneStage)
    : sceneCamera();
  const scene = {
    xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: "manual", aspectratio: { x, y, z },
    dragmode: "turntable", camera,
    annotations: personLabels(frame, state.selected, camera, extent, sceneStage),
  };
  const layout = {
    scene, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: "#ffffff", bordercolor: "#9aa7b4", font: { color: "#1f2933", size: 12 } },
    font: { family: getComputedStyle(document.body).fontFamily },
  };
  await Plotly.react(sceneStage, traces, layout, { displayModeBar: false, responsive: true });
}

// After a turn or zoom labels cover each other in other places.
function moveLabels() {
  if (rendering) return;
  const frame = page.frames[state.frame];
  const extent = wholeExtent || sceneExtent([frame]);
  const labels = personLabels(frame, state.selected, sceneCamera(), extent, sceneStage);
  const shifts = labels.map((label, n) => [`scene.annotations[${n}].yshift`, label.yshift]);
  if (shifts.length) Plotly.relayout(sceneStage, Object.fromEntries(shifts));
}

function drawTable(frame) {
  const rows = frame.people.map((person) => {
    const row = document.createElement("tr");
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = coloursOf(person)[0];
    const values = [
      person.label,
      person.score === null ? "–" : `${(100 * person.score).toFixed(0)}%`,
      person.root ? metres(person.root[2]) : "–",
      person.root ? metres(norm(person.root)) : "–",
      person.height === null ? "–" : metres(person.height),
    ];
    row.append(...values.map((value) => {
      const cell = document.createElement("td");
      cell.textContent = value;
      return cell;
    }));
    row.firstChild.prepend(dot);
    row.classList.toggle("selected", state.selected === person.label);
    row.addEventListener("click", () => select(person.label));
    return row;
  });
  byId("people").replaceChildren(...rows);
  byId("empty").hidden = byId("nobody").hidden = frame.people.length > 0;
  byId("people").parentElement.hidden = !frame.people.length;
}

function drawFacts(frame) {
  const { ground, intrinsics: [fx, fy] } = frame;
  const [left, , right] = pictureCorners(frame);
  const angle = (a, b) => ((Math.atan(b) - Math.atan(a)) * 180) / Math.PI;
  const fov = [angle(left[0], right[0]), angle(left[1], right[1])].map((a) => `${a.toFixed(0)}°`);
  const pitch = Math.abs(ground.pitch) < 0.5
    ? "level" : `looks ${Math.abs(ground.pitch).toFixed(0)}° ${ground.pitch > 0 ? "down" : "up"}`;
  const laid = ["a guess, nobody seen", "below the lower foot, level with the camera"];
  const facts = {
    "Focal length": `${Math.round(fx)} × ${Math.round(fy)} px${frame.assumed ? ", assumed" : ""}`,
    "Field of view": fov.join(" × "),
    Ground: laid[ground.people] || `plane through the feet of ${ground.people} people`,
  };
  if (ground.people) {
    const looks = ground.people > 1 ? `, ${pitch}` : "";
    facts.Camera = `${metres(ground.height)} above ground${looks}`;
  }
  byId("facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  }));
}

function drawFlat() {
  const frame = page.frames[state.frame];
  drawPhoto(frame, state.selected);
  drawMap(frame, framesInView(), state.selected, select);
}

function drawHeading(frame) {
  const count = frame.people.length;
  byId("name").textContent = frame.name;
  byId("size").textContent = `${frame.width} × ${frame.height}`;
  byId("count").textContent = count === 1 ? "1 person" : `${count || "no"} people`;
  byId("assumed").hidden = !frame.assumed;
  byId("position").textContent = `${state.frame + 1} / ${page.frames.length}`;
  byId("slider").value = state.frame;
  [...byId("strip").children].forEach((button, n) => {
    button.setAttribute("aria-current", n === state.frame);
    if (n === state.frame) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

async function render(newView) {
  const index = state.frame;
  const frame = page.frames[index];
  const image = await decodedImage(index);
  drawHeading(frame);
  byId("sheet").querySelector("img")?.remove();
  byId("sheet").prepend(image);
  drawFlat();
  drawTable(frame);
  drawFacts(frame);
  await drawScene(frame, image, newView);
  document.body.dataset.shown = index;
  if (page.video && index + 1 < page.frames.length) decodedImage(index + 1).catch(() => {});
}

// Draws what the state asks for; requests during a drawing are drawn once after it.
let wanted = null;
function update(newView = false) {
  wanted = { newView: newView || Boolean(wanted?.newView) };
  rendering ??= (async () => {
    while (wanted) {
      const request = wanted;
      wanted = null;
      await render(request.newView);
    }
  })().catch(reportFailure).finally(() => { rendering = null; });
  return rendering;
}

function reportFailure(error) {
  console.error(error);
  const message = document.createElement("p");
  message.className = "failure";
  message.textContent = `This view could not be drawn: ${error.message || error}`;
  if (!sceneStage.querySelector(".failure")) sceneStage.prepend(message);
}

function show(index) {
  const last = page.frames.length - 1;
  const next = Math.max(0, Math.min(last, index));
  if (next === state.frame) return;
  state.frame = next;
  hideTip();
  if (!page.video) state.selected = null;
  update(!page.video);
}

function select(label) {
  state.selected = state.selected === label ? null : label;
  update();
}
