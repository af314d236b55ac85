// The dashboard's own script: pages stay up to date, pieces are fetched and put in, and a sheet can be drawn on.
// Everything but drawing works without it.

const $ = (selector, inside = document) => inside.querySelector(selector);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

// Times in the visitor's own zone.
const localise = (inside = document) => {
  for (const time of all("time[datetime]", inside)) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
};

// A part in which somebody writes, or has a question open, stays as it is.
const isInUse = (part) => $("details[open] > form", part) || (part.contains(document.activeElement) && $("input:focus, select:focus", part));

let skipped = false;
const swap = (fresh) => {
  skipped = false;
  for (const part of all("[data-swap]")) {
    const next = fresh.getElementById(part.id);
    if (!next || part.dataset.before === next.outerHTML) continue;
    if (isInUse(part)) { skipped = true; continue; }
    const before = $("[data-news]", part)?.dataset.news;
    const open = all("details[open][id]", part).map((each) => each.id);
    const scrolled = all(".wide", part).map((each) => [each.scrollLeft, each.scrollTop]);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    next.dataset.before = next.outerHTML;
    part.replaceWith(next);
    localise(next);
    for (const id of open) { const details = document.getElementById(id); if (details) details.open = true; }
    all(".wide", next).forEach((each, i) => { [each.scrollLeft, each.scrollTop] = scrolled[i] ?? [0, 0]; });
    if (focused) all("a", next).find((each) => each.getAttribute("href") === focused)?.focus();
    const news = $("[data-news]", next)?.dataset.news;
    if (news && news !== before) $("#news").textContent = news;
  }
};

// The page anew, one request at a time; what comes meanwhile makes it do so once more.
let busy = false, again = false;
const refresh = async () => {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected) { location.assign(answer.url); return; }
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the stream tells when the server is back */ }
  busy = false;
  if (again) { again = false; refresh(); }
};

// What was left as it was is brought up to date when its question is closed.
document.addEventListener("toggle", (event) => { if (!event.target.open && skipped) refresh(); }, true);
document.addEventListener("focusout", () => setTimeout(() => { if (skipped) refresh(); }, 500));

const follow = () => {
  const at = document.body.dataset.live;
  if (!at) return;
  const light = $("#live");
  const stream = new EventSource(at);
  const show = (on) => { light.hidden = false; light.classList.toggle("is-on", on); light.textContent = on ? "live" : "waiting"; };
  stream.addEventListener("open", () => show(true));
  stream.addEventListener("error", () => show(false));
  stream.addEventListener("ended", () => { stream.close(); location.reload(); });
  stream.addEventListener("changed", (event) => {
    if (event.data === document.body.dataset.stamp) return;
    document.body.dataset.stamp = event.data;
    refresh();
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
};

// A piece of a page from the server, put into `place`; an error comes as a piece, too.
const fetchInto = async (place, address, body, headers = {}) => {
  place.classList.add("is-busy");
  try {
    const answer = await fetch(address, { method: "POST", body, headers: { "X-Part": "1", ...headers }, credentials: "same-origin" });
    if (answer.status === 401) { location.reload(); return; }
    place.innerHTML = await answer.text();
    $("#news").textContent = $("[data-news]", place)?.dataset.news ?? "";
  } catch {
    place.innerHTML = '<p class="problem" role="alert">The server does not answer; try again in a moment.</p>';
  } finally {
    place.classList.remove("is-busy");
  }
};

document.addEventListener("submit", (event) => {
  const place = event.target.dataset.part && $(event.target.dataset.part);
  if (!place) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  fetchInto(place, event.target.action, fields);
});

const sheet = $("#sheet");
if (sheet) {
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  const width = sheet.width / 10; // a thinner pen is recognised worse where images are small
  let last = null;
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = width;
  const at = (event) => {
    const box = sheet.getBoundingClientRect();
    return [(event.clientX - box.left) * sheet.width / box.width, (event.clientY - box.top) * sheet.height / box.height];
  };
  const line = (to) => {
    pen.beginPath();
    pen.moveTo(...(last ?? to));
    pen.lineTo(...to);
    pen.stroke();
    last = to;
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    sheet.setPointerCapture(event.pointerId);
    last = null;
    line(at(event));
  });
  sheet.addEventListener("pointermove", (event) => {
    if (last === null) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const each of steps.length ? steps : [event]) line(at(each));
  });
  for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => { last = null; });

  const scanned = () => {
    const side = Number(sheet.dataset.side);
    const small = new OffscreenCanvas(side, side).getContext("2d");
    small.imageSmoothingQuality = "high";
    small.drawImage(sheet, 0, 0, side, side);
    const ink = small.getImageData(0, 0, side, side).data;
    return Uint8Array.from({ length: side * side }, (_, i) => ink[4 * i + 3]);
  };
  $("#predict").addEventListener("click", () => {
    const task = $("#task") ? `?task=${encodeURIComponent($("#task").value)}` : "";
    fetchInto($("#answer"), sheet.dataset.to + task, scanned(), { "X-Token": sheet.dataset.token, "Content-Type": "application/octet-stream" });
  });
  $("#clear").addEventListener("click", () => { pen.clearRect(0, 0, sheet.width, sheet.height); });
}

localise();
follow();
