// Figures with a slider (metarep_lib/show/explore.py): every picture is already in the page, a slider chooses one.
// Without this script, and in print, the page shows the picture of the start.

for (const box of document.querySelectorAll(".explore")) {
  const still = box.querySelector("img");
  const { parameters, start, pictures, frames } = JSON.parse(box.querySelector("script").textContent);

  const picture = still.cloneNode();
  const says = document.createElement("output"); // read out when a slider moves; for the eye, the picture says it
  says.className = "explore-says";
  const live = document.createElement("div");
  live.className = "explore-live";

  const sliders = parameters.map(({ name, values }, i) => {
    const label = document.createElement("label");
    const words = document.createElement("span");
    words.textContent = name.replace(/^_+|_+$/g, "").replaceAll("_", " ");
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: values.length - 1, step: 1, value: start[i] });
    const value = document.createElement("span");
    value.className = "explore-value";
    value.setAttribute("aria-hidden", "true"); // the slider's own text says it
    value.style.minWidth = `${Math.max(...values.map((v) => v.length))}ch`;
    label.append(words, slider, value);
    live.append(label);
    slider.addEventListener("input", show);
    return { slider, value, values };
  });
  live.append(picture, says);

  function show(event) {
    let at = 0;
    for (const { slider, value, values } of sliders) {
      at = at * values.length + Number(slider.value);
      value.textContent = values[slider.value];
      slider.setAttribute("aria-valuetext", values[slider.value]);
    }
    picture.src = pictures[frames[at].picture];
    picture.alt = frames[at].text;
    if (event) says.textContent = frames[at].text;
  }

  show();
  box.prepend(live);
  box.classList.add("explore-on");
}
