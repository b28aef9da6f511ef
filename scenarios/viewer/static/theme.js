"use strict";
// Before anything is painted: the theme that was chosen last, where one was.
{
  const chosen = localStorage.getItem("fellowship-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
