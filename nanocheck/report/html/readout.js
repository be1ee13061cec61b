// Under the pointer, a finger or the arrow keys: the legend shows the sizes at that event. Without this the
// page says everything it says at the peak.
for (const figure of document.querySelectorAll("figure.picture")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const plot = figure.querySelector("svg.plot");
  const cursor = plot.querySelector(".cursor");
  const moment = figure.querySelector(".moment");
  const cells = [...figure.querySelectorAll(".legend b")];
  const atPeak = [moment.textContent, ...cells.map((cell) => cell.textContent)];
  const mib = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const last = data.events.length - 1;
  let place = last;

  const show = (wanted) => {
    place = Math.min(last, Math.max(0, wanted));
    const event = data.events[place];
    const band = data.bands.find(([first, end]) => first <= event && event < end);
    const edges = data.tops.map((top) => top[place]);
    const parts = edges.map((edge, index) => edge - (index ? edges[index - 1] : 0)).reverse();
    const sizes = [edges.length ? edges[edges.length - 1] : 0, data.reserved[place], ...parts];
    moment.textContent = `Event ${event.toLocaleString("en-US")}${band ? `: ${band[2]}` : ""}.`;
    cells.forEach((cell, index) => (cell.textContent = mib.format(sizes[index] / 2 ** 20)));
    const x = `${(100 * (event + 0.5 - data.first)) / (data.end - data.first)}%`;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
  };
  const rest = () => {
    cursor.setAttribute("visibility", "hidden");
    moment.textContent = atPeak[0];
    cells.forEach((cell, index) => (cell.textContent = atPeak[index + 1]));
  };
  plot.addEventListener("pointermove", (pointer) => {
    const box = plot.getBoundingClientRect();
    const event = data.first + ((pointer.clientX - box.left) / box.width) * (data.end - data.first);
    let low = 0;
    let high = last;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (data.events[middle] <= event) low = middle;
      else high = middle - 1;
    }
    show(low);
  });
  plot.addEventListener("pointerleave", rest);
  plot.addEventListener("blur", rest);
  plot.addEventListener("keydown", (key) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -50, PageDown: 50, Home: -last, End: last }[key.key];
    if (move === undefined) return;
    key.preventDefault();
    show(place + move);
  });
}
