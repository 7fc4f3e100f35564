// A box that scrolls sideways (a long formula, a wide table) can be reached by keyboard: it takes the focus while it scrolls.
// Its class lets the style sheet say that there is more to see.

function markScrollBoxes() {
  for (const box of document.querySelectorAll("div.math, span.math, .pst-scrollable-table-container, div.highlight pre")) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("scrolls", scrolls);
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  markScrollBoxes();
  addEventListener("resize", markScrollBoxes);
});
