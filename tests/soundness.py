"""What any page has to keep to, looked for in the page itself: names, labels, contrast, and room."""

from playwright.async_api import Page

LEAST_CONTRAST = 4.5
"""Of text to what is behind it: WCAG 2.2, 1.4.3."""
LEAST_TARGET = 24
"""Pixels that a control is high and wide: WCAG 2.2, 2.5.8, which leaves out links in a line of text."""
FAULTS = """
([leastContrast, leastTarget]) => {
  const faults = [];
  const say = (what, element) => faults.push(`${what}: ${element ? element.outerHTML.slice(0, 120) : ""}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  if (all("h1").length !== 1) say(`${all("h1").length} h1`);
  if (!document.documentElement.lang || !document.title.trim()) say("no language or title");
  for (const name of ["main", "header", "nav"]) if (!document.querySelector(name)) say(`no ${name}`);
  let level = 1;
  for (const heading of all("main :is(h1, h2, h3, h4, h5, h6)")) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) say(`h${level} is followed by h${now}`, heading);
    level = now;
  }
  const ids = all("[id]").map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) say(`id ${id} twice`);
  for (const element of all("[aria-labelledby], [aria-controls], [aria-describedby], label[for]"))
    for (const name of ["aria-labelledby", "aria-controls", "aria-describedby", "for"])
      for (const id of (element.getAttribute(name) ?? "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) say(`${name} of nothing`, element);
  for (const link of all("a[href^='#']")) if (!document.getElementById(link.hash.slice(1))) say("a link to nothing", link);
  const named = (element) => element.ariaLabel || element.getAttribute("aria-labelledby") || element.textContent.trim();
  for (const control of all("input:not([type=hidden]), select, textarea"))
    if (!control.labels.length && !control.ariaLabel) say("no label", control);
  for (const control of all("button, a[href], [role=region]")) if (!named(control)) say("no name", control);
  for (const drawing of all("svg, img"))
    if (drawing.getAttribute("aria-hidden") !== "true" && !drawing.closest("[aria-hidden=true]")
      && !(drawing.role === "img" && drawing.ariaLabel) && !drawing.querySelector("title") && !drawing.alt)
      say("a drawing without words", drawing);
  for (const table of all("table")) if (!table.querySelector("th[scope=col]")) say("a table without heads", table);
  for (const head of all("th")) if (!head.scope) say("a head without scope", head);
  for (const time of all("time")) if (Number.isNaN(Date.parse(time.dateTime))) say("no time", time);
  for (const wide of all("main *"))
    if (["auto", "scroll"].includes(getComputedStyle(wide).overflowX) && wide.scrollWidth > wide.clientWidth + 1
      && wide.tabIndex < 0) say("cannot be scrolled by keys", wide);

  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) say(`${root.scrollWidth} wide in ${innerWidth}`);
  for (const control of all("button, select, summary, input:not([type=hidden], [type=radio], [type=checkbox]), nav a")) {
    const box = control.getBoundingClientRect();
    if (seen(control) && (box.height < leastTarget || (box.width < leastTarget && !control.matches("nav a"))))
      say(`${Math.round(box.width)} x ${Math.round(box.height)} to touch`, control);
  }

  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const dots = new Map();
  const dot = (colour) => {
    if (!dots.has(colour)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      dots.set(colour, [red, green, blue, alpha / 255]);
    }
    return dots.get(colour);
  };
  const over = ([r, g, b, alpha], under) => [r, g, b].map((part, place) => part * alpha + under[place] * (1 - alpha));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = dot(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  for (const element of all("body *")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || !seen(element)) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(dot(element instanceof SVGElement ? style.fill : style.color), ground);
    const [dark, bright] = [light(ink), light(ground)].sort((one, other) => one - other);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < leastContrast) say(`contrast ${contrast.toFixed(2)}`, element);
  }
  return faults;
}
"""


async def faults(page: Page) -> list[str]:
    """Return what a page does not keep to, each with the beginning of its markup."""
    found: list[str] = await page.evaluate(FAULTS, [LEAST_CONTRAST, LEAST_TARGET])
    return found
