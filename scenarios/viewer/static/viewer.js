// What every page does: parts that are live, keys, and the theme. Pages are whole without it.

const PAUSE_MS = 1000; // the least time between two looks at a page that changes

// live parts: when the log has grown, the same address is asked for again, and what differs is put in place

let asking = false, again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) place(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the server has gone: the stream says so, and tries again */ }
  setTimeout(() => {
    asking = false;
    if (again) { again = false; refresh(); }
  }, PAUSE_MS);
}

function place(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (!now) continue;
    const open = new Set([...old.querySelectorAll("details[open]")].map((part) => part.id).filter(Boolean));
    for (const part of now.querySelectorAll("details")) if (open.has(part.id)) part.open = true;
    if (now.isEqualNode(old)) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(document.adoptNode(now));
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("placed", { detail: now }));
  }
}

const stream = document.body.dataset.events;
if (stream && document.querySelector("[data-live]")) {
  const events = new EventSource(stream);
  events.onmessage = refresh;
  addEventListener("pagehide", () => events.close());
}

// keys

const steps = () => [...document.querySelectorAll("[data-step]")].filter((step) => step.offsetParent !== null);

function step(by) {
  const all = steps();
  if (!all.length) return;
  const marked = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const now = all.findIndex((each) => each === document.activeElement || each.contains(document.activeElement));
  const from = now >= 0 ? now : marked ? all.findIndex((each) => each === marked || marked.contains(each)) : -1;
  const next = all[from < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(from + by, 0), all.length - 1)];
  if (!next.matches("a[href], button, input, [tabindex]")) next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function follow(selector) {
  const link = document.querySelector(selector);
  if (link) link.click();
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("fellowship-theme", root.dataset.theme);
}

const help = document.getElementById("keys");
const does = {
  j: () => step(1),
  k: () => step(-1),
  n: () => follow("a[rel=next]"),
  p: () => follow("a[rel=prev]"),
  t: theme,
  "?": () => help.showModal(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
};
let going = false;

addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "Escape" && typing) { typing.blur(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || help.open) return;
  if (going) {
    going = false;
    const page = [...document.querySelectorAll("a[data-key]")].find((link) => link.dataset.key === event.key);
    if (page) { event.preventDefault(); page.click(); return; }
  }
  if (event.key === "g") { going = true; return; }
  if (event.key in does) { event.preventDefault(); does[event.key](); }
});

for (const button of document.querySelectorAll("[data-theme-switch], [data-help]")) {
  button.hidden = false;
  button.addEventListener("click", button.matches("[data-help]") ? () => help.showModal() : theme);
}
