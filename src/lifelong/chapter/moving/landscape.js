/* The loss maps of two tasks, and the path of EWC over both, for every strength λ that was run.
   values: across (A), up (U), losses [2][U][A], first [S][2], joint [2], strengths, ways [strength][S][2], ends. */
lifelong.moving.landscape = (part, values) => {
  "use strict";
  const { element, shape, words, slider, glide, between } = lifelong.tools;
  const COLOURS = ["#313695", "#4575b4", "#74add1", "#abd9e9", "#e0f3f8", "#ffffbf", "#fee090", "#fdae61", "#f46d43", "#d73027", "#a50026"];
  const LEVELS = 18, PALE = 0.35, FINE = 240;
  const { across, up, losses, first, joint, strengths, ways, ends } = values;
  const logs = losses.map((loss) => loss.map((row) => row.map((value) => Math.log(Math.max(value, 1e-6)))));
  const low = Math.min(...logs.flat(2)), high = Math.max(...logs.flat(2));
  const wide = across.at(-1) - across[0], tall = up.at(-1) - up[0], height = Math.round((FINE * tall) / wide);
  const place = ([x, y]) => [((x - across[0]) / wide) * FINE, ((up.at(-1) - y) / tall) * height];
  const line = (points) => points.map((point, index) => (index ? "L" : "M") + place(point).map((value) => value.toFixed(1)).join(" ")).join("");

  words(element("p", {}, part), "Move λ: how firmly EWC holds the parameters of task 1", "移动 λ：EWC 对任务 1 的参数保护得有多紧");
  const control = slider(part, { en: "strength λ", zh: "强度 λ" }, strengths.length - 1, show, 900);
  const said = element("p", { class: "said", "aria-live": "polite" }, part);
  const maps = element("div", { class: "beside" }, part);
  const drawn = logs.map((log, task) => {
    const map = element("figure", {}, maps);
    map.style.margin = 0;
    words(element("div", {}, map), `loss of task ${task + 1} (blue: low)`, `任务 ${task + 1} 的损失（越蓝越小）`);
    const frame = element("div", { class: "map" }, map);
    paint(element("canvas", { width: FINE, height }, frame), log);
    const over = shape("svg", { viewBox: `0 0 ${FINE} ${height}`, role: "img", "aria-label": `EWC, task ${task + 1}` }, frame);
    path(over, "#000", line(first));
    const way = path(over, "#0072B2", "");
    dot(over, first[0], "#000", "θ⁰");
    dot(over, first.at(-1), "#000", "θᵇ");
    dot(over, joint, "#000", "joint");
    return { way, end: dot(over, first.at(-1), "#0072B2", "θ*") };
  });

  function paint(canvas, log) {
    const pen = canvas.getContext("2d"), image = pen.createImageData(FINE, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < FINE; x++) {
        const u = (x / (FINE - 1)) * (across.length - 1), v = (1 - y / (height - 1)) * (up.length - 1);
        const i = Math.min(Math.floor(u), across.length - 2), j = Math.min(Math.floor(v), up.length - 2), s = u - i, t = v - j;
        const value = (1 - t) * ((1 - s) * log[j][i] + s * log[j][i + 1]) + t * ((1 - s) * log[j + 1][i] + s * log[j + 1][i + 1]);
        const level = Math.min(LEVELS - 1, Math.floor(((value - low) / (high - low)) * LEVELS));
        const colour = between(COLOURS, (level + 0.5) / LEVELS);
        for (let side = 0; side < 3; side++) image.data[4 * (y * FINE + x) + side] = PALE * 255 + (1 - PALE) * colour[side];
        image.data[4 * (y * FINE + x) + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }
  function path(over, colour, d) {
    const outline = shape("path", { fill: "none", stroke: "#fff", "stroke-width": 3.2, d }, over);
    const inner = shape("path", { fill: "none", stroke: colour, "stroke-width": 1.8, d, class: colour === "#000" ? "first" : "way" }, over);
    return (next) => { outline.setAttribute("d", next); inner.setAttribute("d", next); };
  }
  function dot(over, point, colour, name) {
    const group = shape("g", {}, over);
    shape("circle", { r: 3.2, fill: colour, stroke: "#fff", "stroke-width": 1 }, group);
    const style = "font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 2.5px; stroke-linejoin: round";
    shape("text", { x: 6, y: 4, style: `${style}; fill: ${colour}` }, group, name);
    const move = (to) => { const [x, y] = place(to); group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`); };
    move(point);
    return move;
  }

  let shown = ways[0], cancel = () => {};
  function show(index) {
    const from = shown, to = ways[index];
    cancel();
    cancel = glide((share) => {
      shown = to.map((point, step) => point.map((value, side) => from[step][side] + share * (value - from[step][side])));
      for (const each of drawn) { each.way(line(shown)); each.end(shown.at(-1)); }
    });
    const { losses: loss, accuracies } = ends[index], percent = accuracies.map((value) => (100 * value).toFixed(1));
    control.output.textContent = strengths[index];
    control.input.setAttribute("aria-valuetext", `λ = ${strengths[index]}`);
    words(said, `λ = ${strengths[index]}: at θ* task 1 has loss ${loss[0].toFixed(2)} and accuracy ${percent[0]} %, task 2 loss ${loss[1].toFixed(2)} and ${percent[1]} %.`,
      `λ = ${strengths[index]}：在 θ* 处，任务 1 的损失为 ${loss[0].toFixed(2)}，准确率 ${percent[0]}%；任务 2 的损失为 ${loss[1].toFixed(2)}，准确率 ${percent[1]}%。`);
  }
  show(0);
};
