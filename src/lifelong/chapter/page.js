"use strict";
/* The page of the chapter: its language, contents, projector and print, and what scripts of moving parts share. */
const lifelong = (() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  /* ---- language: in the address, so that a link leads to what was read ---- */
  function speak(language) {
    root.lang = language;
    for (const button of all("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === language);
  }
  function choose(language) {
    speak(language);
    remember((address) => address.searchParams.set("lang", language));
  }
  function remember(change) {
    const address = new URL(location.href);
    change(address);
    try { history.replaceState(null, "", address); } catch { /* a page in a frame without an address */ }
  }
  function asked() {
    const language = new URLSearchParams(location.search).get("lang");
    if (language === "en" || language === "zh") return language;
    return navigator.language.startsWith("zh") ? "zh" : "en";
  }

  /* ---- contents: a menu on narrow screens; the section on the screen is marked ---- */
  function contents() {
    const nav = document.getElementById("contents"), menu = document.getElementById("menu");
    const open = (yes) => { nav.classList.toggle("is-open", yes); menu.setAttribute("aria-expanded", yes); };
    menu.addEventListener("click", () => open(!nav.classList.contains("is-open")));
    nav.addEventListener("click", (event) => { if (event.target.closest("a")) open(false); });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") open(false); });
    document.addEventListener("click", (event) => { if (!event.target.closest("#contents, #menu")) open(false); });
    const sections = all("main > section");
    const mark = () => {
      const line = innerHeight / 3;
      const here = sections.filter((section) => section.getBoundingClientRect().top <= line).pop();
      for (const link of all("a", nav)) {
        if (here && link.hash === "#" + here.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    document.addEventListener("scroll", mark, { passive: true });
    mark();
  }

  /* ---- projector: one slide on the screen, large letters, arrow keys ---- */
  const slides = () => all("main .slide");
  const projecting = () => root.classList.contains("projector");
  function show(number) {
    const list = slides(), place = Math.max(0, Math.min(number, list.length - 1)), slide = list[place];
    for (const element of all(".is-shown")) element.classList.remove("is-shown");
    slide.classList.add("is-shown");
    slide.closest("main > *").classList.add("is-shown");
    document.querySelector("main").scrollTop = 0;
    document.getElementById("place").textContent = `${place + 1} / ${list.length}`;
    const anchor = slide.id || slide.closest("section")?.id || "top";
    remember((address) => { address.hash = anchor; });
  }
  function project(on) {
    if (on === projecting()) return;
    const list = slides();
    const here = on ? list.findIndex((slide) => slide.getBoundingClientRect().bottom > 120) : list.findIndex((slide) => slide.matches(".is-shown"));
    root.classList.toggle("projector", on);
    document.getElementById("place").hidden = !on;
    if (on) show(here);
    else list[here]?.scrollIntoView({ behavior: "instant", block: "start" });
  }
  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, .handle")) return;
    if (event.key === "p" || event.key === "P") return project(!projecting());
    if (!projecting()) return;
    const here = slides().findIndex((slide) => slide.matches(".is-shown"));
    const onButton = event.target.closest?.("button, summary, a");
    const to = { ArrowRight: here + 1, ArrowDown: here + 1, PageDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, PageUp: here - 1,
      Home: 0, End: Infinity, ...(onButton ? {} : { " ": here + 1 }) }[event.key];
    if (event.key === "Escape") project(false);
    else if (to !== undefined) { event.preventDefault(); show(to); }
  }

  /* ---- print: tables are open on paper ---- */
  function printing() {
    const opened = [];
    const before = () => { for (const table of all("details:not([open])")) { table.open = true; opened.push(table); } };
    const after = () => { for (const table of opened.splice(0)) table.open = false; };
    addEventListener("beforeprint", before);
    addEventListener("afterprint", after);
    matchMedia("print").addEventListener("change", (media) => (media.matches ? before() : after()));
  }

  function save(button) {
    const figure = button.closest("figure");
    const drawing = all(".drawing > svg", figure).find((each) => each.getClientRects().length > 0);
    const copy = drawing.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const link = element("a", { href: URL.createObjectURL(new Blob([copy.outerHTML], { type: "image/svg+xml" })), download: figure.id + ".svg" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* ---- what the scripts of moving parts share ---- */
  function element(name, attributes = {}, parent = null, text = null) {
    return put(document.createElement(name), attributes, parent, text);
  }
  function shape(name, attributes = {}, parent = null, text = null) {
    return put(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, parent, text);
  }
  function put(made, attributes, parent, text) {
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    parent?.append(made);
    return made;
  }
  /* words in both languages, of which the page shows one */
  function words(parent, en, zh) {
    parent.replaceChildren();
    element("span", { lang: "en" }, parent, en);
    element("span", { lang: "zh" }, parent, zh);
    return parent;
  }
  /* a labelled slider over 0 … most, with a button that plays it */
  function slider(parent, label, most, onMove, pace = 600) {
    const row = element("div", { class: "row" }, parent);
    const button = element("button", { type: "button", class: "main" }, row);
    const line = element("label", {}, row);
    words(line, label.en, label.zh);
    const output = element("output", {}, row);
    const input = element("input", { type: "range", min: 0, max: most, step: 1, value: 0 }, row);
    input.setAttribute("aria-label", `${label.en} / ${label.zh}`);
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; words(button, "▶ Play", "▶ 播放"); };
    const move = (to) => { input.value = to; onMove(Number(input.value)); };
    const next = () => { if (Number(input.value) >= most) stop(); else move(Number(input.value) + 1); };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(input.value) >= most) move(0);
      words(button, "❚❚ Pause", "❚❚ 暂停");
      timer = setInterval(next, pace);
    });
    input.addEventListener("input", () => { stop(); onMove(Number(input.value)); });
    stop();
    return { input, output, move, stop };
  }
  /* call draw(share) with shares from 0 to 1; where motion is not wanted, once with 1 */
  function glide(draw, milliseconds = 350) {
    if (calm()) { draw(1); return () => {}; }
    let frame = null;
    const start = performance.now();
    const tick = (now) => {
      const share = Math.min(1, (now - start) / milliseconds);
      draw(share * share * (3 - 2 * share));
      if (share < 1) frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }
  /* a colour between those of a list, at a share from 0 to 1: [red, green, blue] */
  function between(list, share) {
    const at = Math.max(0, Math.min(1, share)) * (list.length - 1), low = Math.min(Math.floor(at), list.length - 2);
    const parts = (colour) => [1, 3, 5].map((from) => parseInt(colour.slice(from, from + 2), 16));
    const [one, other] = [parts(list[low]), parts(list[low + 1])];
    return one.map((value, place) => Math.round(value + (at - low) * (other[place] - value)));
  }

  function start() {
    root.classList.add("scripted");
    speak(asked());
    for (const button of all("[data-language]")) button.addEventListener("click", () => choose(button.dataset.language));
    document.getElementById("project").addEventListener("click", () => project(true));
    document.addEventListener("keydown", keys);
    for (const button of all(".save")) button.addEventListener("click", () => save(button));
    for (const part of all(".moving")) lifelong.moving[part.dataset.script](part, JSON.parse(part.querySelector("script").textContent));
    contents();
    printing();
    if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView({ behavior: "instant" });
  }

  return { moving: {}, tools: { all, element, shape, words, slider, glide, between, calm }, start };
})();
