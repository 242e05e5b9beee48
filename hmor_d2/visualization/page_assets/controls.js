// Thumbnails, the video's player, buttons and keys.

function makeStrip() {
  byId("strip").hidden = false;
  byId("strip").append(...page.frames.map((frame, index) => {
    const button = document.createElement("button");
    const image = new Image();
    image.src = `data:image/jpeg;base64,${frame.thumbnail}`;
    image.alt = button.title = frame.name;
    button.type = "button";
    button.append(image);
    button.addEventListener("click", () => show(index));
    return button;
  }));
}

function play(on) {
  state.playing = on;
  byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
  byId("play-shape").setAttribute("d", on ? "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z" : "M4 2.5v11l9-5.5z");
  if (!on) return;
  if (state.frame === page.frames.length - 1) show(0);
  let [start, first] = [null, state.frame];
  const tick = (now) => {
    if (!state.playing) return;
    start ??= now;
    const due = first + Math.floor(((now - start) / 1000) * page.fps);
    // Frames that would be late are skipped: a slow machine plays at the same speed.
    if (!rendering && due > state.frame) {
      show(due);
      if (due >= page.frames.length - 1) return play(false);
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function makePlayer() {
  byId("player").hidden = false;
  byId("slider").max = page.frames.length - 1;
  byId("slider").addEventListener("input", (event) => {
    play(false);
    show(Number(event.target.value));
  });
  byId("play").addEventListener("click", () => play(!state.playing));
}

function setView(view) {
  state.view = view;
  for (const button of byId("views").children) {
    button.classList.toggle("active", button.dataset.view === view);
  }
  update(true).then(() => sceneStage.on?.("plotly_relayout", (change) => {
  if (change["scene.camera"]) moveLabels();
}));
}

if (page.video) makePlayer();
else if (page.frames.length > 1) makeStrip();

byId("views").addEventListener("click", (event) => {
  if (event.target.dataset.view) setView(event.target.dataset.view);
});
for (const id of ["show-poses", "show-boxes"]) byId(id).addEventListener("change", drawFlat);

byId("overlay").addEventListener("pointermove", (event) => {
  photoTip(event, page.frames[state.frame]);
});
byId("overlay").addEventListener("pointerleave", hideTip);
byId("overlay").addEventListener("click", (event) => {
  const { person } = photoTarget(event, page.frames[state.frame]);
  if (person) select(person.label);
  else if (state.selected !== null) select(state.selected);
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=range]") || event.ctrlKey || event.metaKey) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    play(false);
    show(state.frame + step);
  } else if (event.key === " " && page.video && !event.target.matches("button, input")) {
    event.preventDefault();
    play(!state.playing);
  }
});

let resizing = 0;
new ResizeObserver(() => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => { if (!rendering) drawFlat(); });
}).observe(document.querySelector("main"));

update(true).then(() => sceneStage.on?.("plotly_relayout", (change) => {
  if (change["scene.camera"]) moveLabels();
}));
