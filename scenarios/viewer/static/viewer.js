// What every page does: parts that are live, keys, and the theme. Pages are whole without it.

const PAUSE_MS = 1000; // the least time between two looks at a page that changes
const GOING_MS = 1500; // after which a `g` is forgotten

// Live parts: when the log has grown, the same address is asked for again, and what differs becomes what it is now.
// What is the same stays: the focus, what is selected or unfolded, and how far boxes are scrolled.

let asking = false, again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok) place(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the server has gone: the stream tries again by itself */ }
  setTimeout(() => {
    asking = false;
    if (again) { again = false; refresh(); }
  }, PAUSE_MS);
}

function place(fresh) {
  const focused = document.activeElement;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = old.id && fresh.getElementById(old.id);
    if (!now || old.isEqualNode(now)) continue;
    become(old, now);
    document.dispatchEvent(new CustomEvent("placed", { detail: old }));
  }
  if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

const READERS = new Set(["open", "tabindex"]); // attributes that are the reader's doing

function become(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = now.nodeValue; return; }
  for (const { name } of [...old.attributes])
    if (!now.hasAttribute(name) && !READERS.has(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes)
    if (old.getAttribute(name) !== value && !READERS.has(name)) old.setAttribute(name, value);
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = old.firstChild;
  for (const child of [...now.childNodes]) {
    const same = child.id ? named.get(child.id) : at && !at.id ? at : null;
    if (!same || same.nodeName !== child.nodeName) { old.insertBefore(document.adoptNode(child), at); continue; }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    become(same, child);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// A browser keeps few connections to one server: only pages that are looked at listen.
const stream = document.body.dataset.events;
let events = null;

function listen() {
  if (!document.hidden && !events) {
    events = new EventSource(stream);
    events.onmessage = refresh;
  } else if (document.hidden && events) quiet();
}

function quiet() {
  events?.close();
  events = null;
}

if (stream && document.querySelector("[data-live]")) {
  listen();
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", quiet);
  addEventListener("pageshow", listen);
}

// Keys: what can be stepped through has `data-step`, places have `data-key`, what comes next has `rel`.

const help = document.getElementById("keys");
const FIELDS = "select, textarea, [contenteditable], input:not([type=radio], [type=checkbox], [type=button])";
const shown = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());

function step(by) {
  const all = shown("[data-step]");
  if (!all.length) return;
  const marked = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const holding = (element) => (element ? all.findIndex((each) => each.contains(element)) : -1);
  const now = holding(document.activeElement);
  const from = now < 0 ? holding(marked) : now;
  const next = all[from < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(from + by, 0), all.length - 1)];
  if (!next.matches("a[href], button, input, summary, [tabindex]")) next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function open() {
  const step = document.activeElement?.closest("[data-step]");
  if (!step) return;
  (step.matches("a[href], button, summary") ? step : step.querySelector("[data-open], a[href]"))?.click();
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("fellowship-theme", root.dataset.theme); } catch { /* it holds for this page */ }
}

function search() {
  const field = document.querySelector("input[type=search]");
  field?.focus();
  field?.select();
}

const does = {
  j: () => step(1),
  k: () => step(-1),
  o: open,
  n: () => shown("a[rel=next]")[0]?.click(),
  p: () => shown("a[rel=prev]")[0]?.click(),
  t: theme,
  "?": () => (help.open ? help.close() : help.showModal()),
  "/": search,
};
let going = 0; // when `g` was pressed

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const field = event.target.closest?.(FIELDS);
  if (field && event.key === "Escape") field.blur();
  if (field || event.ctrlKey || event.metaKey || event.altKey || (help.open && event.key !== "?")) return;
  const place = event.timeStamp - going < GOING_MS && going && event.key;
  going = event.key === "g" ? event.timeStamp : 0;
  const link = place && [...document.querySelectorAll("a[data-key]")].find((each) => each.dataset.key === place);
  if (link) { event.preventDefault(); link.click(); }
  else if (Object.hasOwn(does, event.key)) { event.preventDefault(); does[event.key](); }
});

addEventListener("keydown", (event) => {
  // Enter on a step that is no link opens it, where the page has not done so itself.
  if (event.key === "Enter" && !event.defaultPrevented && event.target.matches?.("[data-step]:not(a, button, summary)")) open();
});

for (const button of document.querySelectorAll("[data-theme-switch], [data-help]")) {
  button.hidden = false;
  button.addEventListener("click", button.matches("[data-help]") ? does["?"] : theme);
}
