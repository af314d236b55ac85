/* The table R, row by row. values: lives [{name: {en, zh}, matrix [T + 1][T] (null: not measured), classes}];
   classes: null, or [T][T][C], the accuracy on each digit of a task after tasks 1 … T. */
lifelong.moving.matrix = (part, values) => {
  "use strict";
  const { all, element, words, slider, between } = lifelong.tools;
  const COLOURS = ["#00224e", "#083370", "#35456c", "#4f576c", "#666970", "#7d7c78", "#948e77", "#aea371", "#c8b866", "#e5cf52", "#fee838"];
  words(element("p", {}, part), "R grows by a row with every task; choose a cell to read it", "每学完一个任务，R 增加一行；点击格子查看含义");
  const buttons = element("div", { class: "row", role: "group" }, part);
  const box = element("div", { class: "beside" }, part);
  const wide = element("div", { class: "wide" }, box), beside = element("div", {}, box);
  const table = element("table", { class: "cells" }, wide);
  const most = Math.max(...values.lives.map((life) => life.matrix.length)) - 1;
  const control = slider(beside, { en: "tasks learned", zh: "已学任务数" }, most, show, 900);
  const said = element("p", { class: "said", "aria-live": "polite" }, beside);
  let life = values.lives[0], cell = null;
  if (values.lives.length > 1) {
    for (const each of values.lives) {
      const button = element("button", { type: "button", "aria-pressed": each === life }, buttons);
      words(button, each.name.en, each.name.zh);
      button.addEventListener("click", () => { choose(each); for (const other of all("button", buttons)) other.setAttribute("aria-pressed", other === button); });
    }
  }
  const percent = (value) => (100 * value).toFixed(1), points = (value) => Math.abs(100 * value).toFixed(1);

  function choose(each) {
    life = each;
    cell = null;
    control.stop();
    table.replaceChildren();
    const head = element("tr", {}, element("thead", {}, table));
    words(element("th", { scope: "col" }, head), "after \\ on task", "学完 \\ 测试任务");
    for (let task = 1; task <= life.matrix[0].length; task++) element("th", { scope: "col" }, head, task);
    const body = element("tbody", {}, table);
    life.matrix.forEach((row, learned) => {
      const line = element("tr", { "data-row": learned }, body), name = element("th", { scope: "row" }, line, learned);
      if (learned === 0) words(name, "0 (start)", "0（初始）");
      row.forEach((value, place) => {
        const button = element("button", { type: "button", "aria-pressed": false, "aria-label": `R ${learned}, ${place + 1}` }, element("td", {}, line), value === null ? "–" : Math.round(100 * value));
        if (value !== null) Object.assign(button.style, { background: `rgb(${between(COLOURS, value)})`, color: value > 0.5 ? "#000" : "#fff" });
        button.addEventListener("click", () => read(learned, place));
      });
    });
    control.input.max = life.matrix.length - 1;
    control.move(life.matrix.length - 1);
  }
  function show(learned) {
    for (const row of all("[data-row]", table)) {
      row.classList.toggle("later", Number(row.dataset.row) > learned);
    }
    control.output.textContent = learned;
    if (cell && cell[0] <= learned) return;
    cell = null;
    const measured = learned > 0 ? life.matrix[learned].slice(0, learned).filter((value) => value !== null) : [];
    const mean = measured.length ? percent(measured.reduce((sum, value) => sum + value, 0) / measured.length) : null;
    words(said, mean === null ? "Row 0: the network before it learned anything." : `After task ${learned}: mean accuracy on the tasks learned ${mean} %.`,
      mean === null ? "第 0 行：什么都还没学的网络。" : `学完任务 ${learned} 之后：已学任务的平均准确率为 ${mean}%。`);
  }
  function read(learned, place) {
    control.stop();
    cell = [learned, place];
    for (const button of all("td button", table)) button.setAttribute("aria-pressed", false);
    all("button", table.querySelector(`[data-row="${learned}"]`))[place].setAttribute("aria-pressed", true);
    const value = life.matrix[learned][place], task = place + 1, name = `R(${learned}, ${task})`;
    if (value === null) return words(said, `${name}: not measured.`, `${name}：没有测量。`);
    const when = learned === 0 ? { en: "before learning anything", zh: "什么都没学时" } : { en: `after learning task${learned > 1 ? `s 1 to ${learned}` : " 1"}`, zh: learned > 1 ? `学完任务 1 到 ${learned} 之后` : "学完任务 1 之后" };
    const base = learned > task ? life.matrix[task][place] : learned < task && learned > 0 ? life.matrix[0][place] : null;
    let more = { en: "", zh: "" };
    if (learned === task) more = { en: " It has just been learned.", zh: "这个任务刚刚学完。" };
    else if (base !== null) {
      const change = value - base, up = change >= 0;
      if (learned > task) more = { en: ` ${points(change)} points ${up ? "more" : "less"} than just after it was learned${up ? "" : ": forgetting"}.`, zh: `比刚学完时${up ? "高" : "低"} ${points(change)} 个百分点${up ? "" : "，即遗忘"}。` };
      else more = { en: ` ${points(change)} points ${up ? "more" : "less"} than at the start, though it is not learned yet.`, zh: `还没有学这个任务，比初始时${up ? "高" : "低"} ${points(change)} 个百分点。` };
    }
    const digits = learned > task && life.classes ? lost(life.classes[task - 1][place], life.classes[learned - 1][place]) : { en: "", zh: "" };
    words(said, `${name} = ${percent(value)} %: accuracy on task ${task} ${when.en}.${more.en}${digits.en}`, `${name} = ${percent(value)}%：${when.zh}，在任务 ${task} 上的准确率。${more.zh}${digits.zh}`);
  }
  /* the digits of a task that lost most since it was learned */
  function lost(before, after) {
    const falls = before.map((value, digit) => [digit, value === null ? 0 : value - after[digit]]).filter(([, fall]) => fall > 0.05).sort((a, b) => b[1] - a[1]);
    if (falls.length === 0) return { en: " No digit lost more than 5 points.", zh: "没有哪个数字下降超过 5 个百分点。" };
    const list = (comma, open, close) => falls.slice(0, 4).map(([digit, fall]) => `${digit}${open}−${Math.round(100 * fall)}${close}`).join(comma);
    return { en: ` Digits that lost most: ${list(", ", " (", ")")}.`, zh: `丢失最多的数字：${list("、", "（", "）")}。` };
  }
  choose(life);
};
