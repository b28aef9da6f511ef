"use strict";
// Before anything is painted: the theme that was chosen last, where one was and the browser keeps such things.
try {
  const chosen = localStorage.getItem("fellowship-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* the browser keeps nothing: its own preference holds */ }
