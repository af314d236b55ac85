/* The gradient g, past gradients to drag, and what GEM makes of them. values: cases [{name: {en, zh}, g, past}]. */

/* the vector nearest to g in the plane with ⟨z, gₖ⟩ ≥ 0 for both past gradients, in closed form */
lifelong.project = (g, past) => {
  "use strict";
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
  const walls = past.filter((each) => dot(each, each) > 0);
  const unit = (each) => each.map((value) => value / Math.hypot(...each));
  const allowed = (z) => walls.every((each) => dot(z, unit(each)) >= -1e-12 * Math.hypot(...g));
  if (walls.every((each) => dot(g, each) >= 0)) return g;
  const onto = (each) => { const n = unit(each), along = dot(g, n); return [g[0] - along * n[0], g[1] - along * n[1]]; };
  const distance = (z) => Math.hypot(z[0] - g[0], z[1] - g[1]);
  /* on one wall, or, where both hold, at the origin, where they meet */
  const near = walls.filter((each) => dot(g, each) < 0).map(onto).filter(allowed).sort((a, b) => distance(a) - distance(b));
  return near[0] ?? [0, 0];
};

lifelong.moving.gem = (part, values) => {
  "use strict";
  const { element, shape, words } = lifelong.tools;
  const REACH = 1.5, HALF = 200, STEP = 0.05;
  const NAMES = ["g", "g₁", "g₂"], CURRENT = "var(--c-0072b2, #0072b2)", PAST = "var(--c-d55e00, #d55e00)", PROJECTED = "var(--c-009e73, #009e73)";
  const place = ([x, y]) => [(x / REACH) * HALF, (-y / REACH) * HALF];
  let arrows = [];

  words(element("p", {}, part), "Drag g, g₁ and g₂, or choose one and use the arrow keys", "拖动 g、g₁ 和 g₂，或选中后用方向键移动");
  const buttons = element("div", { class: "row" }, part);
  const box = element("div", { class: "beside" }, part);
  const drawing = shape("svg", { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, role: "group", "aria-label": "g, g₁, g₂, g′" }, box);
  drawing.style.border = "1px solid var(--line)";
  const area = shape("polygon", { fill: PROJECTED, "fill-opacity": 0.14 }, drawing);
  const borders = [1, 2].map(() => shape("line", { stroke: PAST, "stroke-opacity": 0.6 }, drawing));
  const way = shape("line", { stroke: "currentColor", "stroke-dasharray": "5 4", "stroke-opacity": 0.7 }, drawing);
  const bodies = [CURRENT, PAST, PAST].map((colour, index) => handle(index, colour));
  const result = arrow(PROJECTED);
  drawing.append(...bodies.slice(1).map((each) => each.group), bodies[0].group, result.group);
  result.group.style.pointerEvents = "none";
  const said = element("div", { "aria-live": "polite" }, box);

  for (const each of values.cases) {
    const button = element("button", { type: "button" }, buttons);
    words(button, each.name.en, each.name.zh);
    button.addEventListener("click", () => choose(each));
  }

  function arrow(colour) {
    const group = shape("g", {}, null);
    return { group, shaft: shape("line", { stroke: colour, "stroke-width": 4 }, group), head: shape("polygon", { fill: colour }, group),
      dot: shape("circle", { r: 5, fill: colour }, group), name: shape("text", { style: `fill: ${colour}; font-size: 20px`, "text-anchor": "middle", "dominant-baseline": "middle" }, group) };
  }
  function handle(index, colour) {
    const made = arrow(colour);
    made.group.setAttribute("class", "handle");
    made.group.setAttribute("tabindex", 0);
    made.group.setAttribute("role", "slider");
    made.grip = shape("circle", { r: 22, fill: "transparent" }, made.group);
    made.group.addEventListener("pointerdown", (event) => { made.group.setPointerCapture(event.pointerId); made.group.focus(); event.preventDefault(); });
    made.group.addEventListener("pointermove", (event) => {
      if (!made.group.hasPointerCapture(event.pointerId)) return;
      const frame = drawing.getBoundingClientRect();
      move(index, [((event.clientX - frame.left) / frame.width) * 2 * REACH - REACH, REACH - ((event.clientY - frame.top) / frame.height) * 2 * REACH]);
    });
    made.group.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
      if (!by) return;
      event.preventDefault();
      move(index, arrows[index].map((value, side) => value + by[side]));
    });
    return made;
  }
  function move(index, to) {
    arrows[index] = to.map((value) => Math.max(-0.97 * REACH, Math.min(0.97 * REACH, value)));
    draw();
  }
  function point(body, to, name) {
    const [x, y] = place(to), length = Math.hypot(x, y), [u, v] = length > 0 ? [x / length, y / length] : [0, -1];
    const back = Math.max(0, length - 14), far = length + 18;
    put(body.shaft, { x1: 0, y1: 0, x2: u * back, y2: v * back });
    put(body.head, { points: length < 1 ? "" : [[x, y], [u * back - 6 * v, v * back + 6 * u], [u * back + 6 * v, v * back - 6 * u]].join(" ") });
    put(body.dot, { cx: x, cy: y, visibility: length < 1 ? "visible" : "hidden" });
    put(body.name, { x: Math.max(-HALF + 14, Math.min(HALF - 14, u * far)), y: Math.max(-HALF + 14, Math.min(HALF - 14, v * far)) });
    if (body.grip) put(body.grip, { cx: x, cy: y });
    body.name.textContent = name;
  }
  function put(element, attributes) { for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value); }

  /* the square, cut along the borders: where no past loss rises */
  function cut(polygon, wall) {
    const height = ([x, y]) => x * wall[0] + y * wall[1];
    return polygon.flatMap((from, index) => {
      const to = polygon[(index + 1) % polygon.length], [a, b] = [height(from), height(to)];
      const crossing = [from[0] + (a / (a - b)) * (to[0] - from[0]), from[1] + (a / (a - b)) * (to[1] - from[1])];
      return [...(a >= 0 ? [from] : []), ...((a >= 0) !== (b >= 0) ? [crossing] : [])];
    });
  }
  function draw() {
    const [g, ...past] = arrows, z = lifelong.project(g, past), same = z[0] === g[0] && z[1] === g[1];
    let polygon = [[-REACH, -REACH], [REACH, -REACH], [REACH, REACH], [-REACH, REACH]];
    for (const wall of past) polygon = cut(polygon, wall);
    put(area, { points: polygon.map(place).join(" ") });
    borders.forEach((line, index) => {
      const wall = past[index], size = wall ? Math.hypot(...wall) : 0, visibility = size > 0 ? "visible" : "hidden";
      const [x, y] = size > 0 ? place([(-3 * wall[1]) / size, (3 * wall[0]) / size]) : [0, 0];
      put(line, { x1: -x, y1: -y, x2: x, y2: y, visibility });
    });
    bodies.forEach((body, index) => {
      body.group.style.display = arrows[index] ? "" : "none";
      if (!arrows[index]) return;
      point(body, arrows[index], index === 0 && same ? "" : NAMES[index]);
      const text = arrows[index].map((value) => value.toFixed(2)).join(", ");
      put(body.group, { "aria-label": NAMES[index], "aria-valuetext": text, "aria-valuenow": arrows[index][0].toFixed(2) });
    });
    point(result, z, same ? "g = g′" : "g′");
    const [[gx, gy], [zx, zy]] = [place(g), place(z)];
    put(way, { x1: gx, y1: gy, x2: zx, y2: zy });
    said.dataset.projected = JSON.stringify(z);
    tell(g, past, z, same);
  }
  function tell(g, past, z, same) {
    const show = (value) => (Math.abs(value) < 0.005 ? "0.00" : value.toFixed(2).replace("-", "−"));
    const angle = (a, b) => {
      const size = Math.hypot(...a) * Math.hypot(...b);
      return size < 1e-9 ? "–" : Math.round((Math.acos(Math.max(-1, Math.min(1, (a[0] * b[0] + a[1] * b[1]) / size))) * 180) / Math.PI) + "°";
    };
    said.replaceChildren();
    const table = element("table", {}, said), rows = element("tbody", {}, table);
    const row = (head, ...cells) => { const line = element("tr", {}, rows); element("th", { scope: "row" }, line, head); for (const cell of cells) element("td", {}, line, cell); };
    past.forEach((each, index) => row(`⟨g, ${NAMES[index + 1]}⟩`, show(g[0] * each[0] + g[1] * each[1]), angle(g, each)));
    past.forEach((each, index) => row(`⟨g′, ${NAMES[index + 1]}⟩`, show(z[0] * each[0] + z[1] * each[1]), angle(z, each)));
    row("g′", `(${z.map(show).join(", ")})`, "");
    const nothing = Math.hypot(...z) < 1e-9;
    const count = past.filter((each) => g[0] * each[0] + g[1] * each[1] < 0).length;
    words(element("p", {}, said),
      same ? "No conflict: every angle is at most 90°, and the step is the gradient itself." : nothing ? "No direction is left that harms no past task: GEM stands still." : `${count} conflict${count > 1 ? "s" : ""}: g′ is the nearest vector in the shaded area.`,
      same ? "没有冲突：夹角都不超过 90°，直接沿原梯度走。" : nothing ? "已没有不损害旧任务的方向：GEM 原地不动。" : `${count} 个冲突：g′ 是阴影区域中离 g 最近的向量。`);
  }
  function choose(each) { arrows = [each.g, ...each.past].map((vector) => [...vector]); draw(); }
  choose(values.cases.at(-2) ?? values.cases[0]);
};
