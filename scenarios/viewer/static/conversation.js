"use strict";
// The inspector beside the lanes: the page of a message is fetched, and its <main> shown. Without this, it is a link.
(() => {
  if (!document.getElementById("talk")) return;
  const state = { panel: null, shown: null, wanted: null, opener: null };

  const anchor = (sequence) => document.getElementById(`m${sequence}`);
  const linkIn = (element) => element.querySelector("a.more");

  function mark(sequence) {
    for (const open of document.querySelectorAll("#talk .cell.open")) open.classList.remove("open");
    anchor(sequence)?.classList.add("open");
  }

  function close() {
    if (!state.panel) return false;
    state.panel.remove();
    state.panel = state.shown = state.wanted = null;
    document.body.classList.remove("inspecting");
    mark("");
    const back = state.opener && anchor(state.opener);
    if (back) back.focus({ preventScroll: true });
    return true;
  }

  function opened() {
    if (state.panel) return state.panel;
    const panel = document.createElement("aside");
    panel.className = "inspector";
    panel.setAttribute("aria-label", "Message");
    panel.tabIndex = -1;
    document.body.append(panel);
    document.body.classList.add("inspecting");
    return (state.panel = panel);
  }

  function bar(href) {
    const line = document.createElement("p");
    const page = document.createElement("a");
    page.href = href;
    page.textContent = "On a page of its own";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "close";
    button.textContent = "Close";
    button.addEventListener("click", close);
    line.append(button, page);
    return line;
  }

  async function inspect(href, sequence) {
    state.wanted = href;
    const answer = await fetch(href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (state.wanted !== href) return; // the reader has gone on
    const content = page.getElementById("main");
    for (const named of content.querySelectorAll("[id]")) named.removeAttribute("id"); // the lanes have theirs
    for (const labelled of content.querySelectorAll("[aria-labelledby]")) labelled.removeAttribute("aria-labelledby");
    const panel = opened();
    panel.replaceChildren(bar(href), ...content.childNodes);
    panel.scrollTop = 0;
    state.shown = state.opener = sequence;
    mark(sequence);
  }

  const failed = (href) => () => { location.href = href; };

  function sequenceOf(element) {
    return element.id.replace(/^m/, "");
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("#talk a.more, .inspector a[data-inspect]");
    if (link) {
      event.preventDefault();
      const sequence = link.dataset.inspect ?? sequenceOf(link.closest("[id]"));
      inspect(link.href, sequence).catch(failed(link.href));
      if (link.dataset.inspect) anchor(sequence)?.scrollIntoView({ block: "nearest" });
      return;
    }
    const number = event.target.closest?.("#talk a.at");
    if (number && navigator.clipboard) navigator.clipboard.writeText(number.href).catch(() => {});
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "Escape" && close()) {
      event.preventDefault();
    } else if (event.key === "Enter" && event.target.matches?.("#talk .cell")) {
      const link = linkIn(event.target);
      if (!link) return;
      event.preventDefault();
      inspect(link.href, sequenceOf(event.target)).catch(failed(link.href));
    }
  }, true);

  document.addEventListener("placed", () => { if (state.shown) mark(state.shown); });

  // While it is open, it follows the message that the reader goes to, as by j and k.
  document.addEventListener("focusin", (event) => {
    if (!state.panel || !event.target.matches?.("#talk .cell")) return;
    const link = linkIn(event.target);
    const sequence = sequenceOf(event.target);
    if (link && sequence !== state.shown) inspect(link.href, sequence).catch(failed(link.href));
  });
})();
