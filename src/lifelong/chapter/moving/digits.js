/* A hundred test digits of task 1: which of them are answered wrongly while task 2 is learned.
   values: images (base64 of 100 × side × side bytes), side, followed [looks][100] of 0 (wrong) and 1 (right), every. */
lifelong.moving.digits = (part, values) => {
  "use strict";
  const { element, words, slider } = lifelong.tools;
  const { side, followed, every } = values, ACROSS = 10, GAP = 2;
  const pixels = Uint8Array.from(atob(values.images), (letter) => letter.charCodeAt(0));
  const count = followed[0].length, cell = side + GAP;
  words(element("p", {}, part), "A hundred test digits of task 1 while task 2 is learned: red ones are answered wrongly",
    "学习任务 2 的过程中，任务 1 的一百个测试数字：红色的回答错了");
  const box = element("div", { class: "beside" }, part);
  const canvas = element("canvas", { width: ACROSS * cell, height: Math.ceil(count / ACROSS) * cell, role: "img" }, box);
  canvas.style.imageRendering = "pixelated";
  const pen = canvas.getContext("2d");
  const beside = element("div", {}, box);
  const control = slider(beside, { en: "steps on task 2", zh: "任务 2 的步数" }, followed.length - 1, show, 250);
  const said = element("p", { class: "said", "aria-live": "polite" }, beside);

  function show(look) {
    const right = followed[look], image = pen.createImageData(canvas.width, canvas.height);
    for (let digit = 0; digit < count; digit++) {
      const left = (digit % ACROSS) * cell, top = Math.floor(digit / ACROSS) * cell;
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const ink = pixels[(digit * side + y) * side + x] / 255, at = 4 * ((top + y) * canvas.width + left + x);
          const [paper, letter] = right[digit] ? [[255, 255, 255], [0, 0, 0]] : [[200, 40, 20], [255, 235, 225]];
          for (let part = 0; part < 3; part++) image.data[at + part] = paper[part] + ink * (letter[part] - paper[part]);
          image.data[at + 3] = 255;
        }
      }
    }
    pen.putImageData(image, 0, 0);
    const wrong = right.filter((each) => !each).length, before = followed[0].filter((each) => !each).length;
    control.output.textContent = look * every;
    control.input.setAttribute("aria-valuetext", String(look * every));
    canvas.setAttribute("aria-label", `${wrong} / ${count}`);
    words(said, `After ${look * every} steps on task 2: ${wrong} of ${count} wrong (${before} before the first step).`,
      `在任务 2 上学习 ${look * every} 步之后：${count} 个中有 ${wrong} 个回答错误（开始之前为 ${before} 个）。`);
  }
  show(0);
};
