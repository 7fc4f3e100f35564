// A box that scrolls sideways (a long formula, a wide table) can be reached by keyboard: it takes the focus while it scrolls.

function markScrollBoxes() {
  for (const box of document.querySelectorAll("div.math, span.math, .pst-scrollable-table-container, div.highlight pre")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  markScrollBoxes();
  addEventListener("resize", markScrollBoxes);
});
