// A charge as it goes on: every change of it is read again, and its energy becomes a plot that grows.

const connected = (is) => document.dispatchEvent(new CustomEvent("connection", { detail: is }));
const now = document.getElementById("now");
const figure = document.getElementById("plot");
let points = [];
let plot = null;

function powers() {
  return points.map(([at, energy], index) => {
    if (index === 0) return null;
    const [before, less] = points[index - 1];
    return at > before ? ((energy - less) * 3600) / (at - before) / 1000 : null;
  });
}

function draw() {
  const power = powers();
  const last = power.length ? power[power.length - 1] : null;
  const shown = now.querySelector("[data-power-now]");
  const running = now.querySelector("section").dataset.state === "TxRunning";
  if (shown && last !== null && running) shown.textContent = `${last.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} kW`;
  if (points.length < 2) return;
  figure.hidden = false;
  const data = [points.map(([at]) => at), points.map(([, energy]) => energy / 1000), power];
  if (plot) return plot.setData(data);
  const ink = getComputedStyle(document.body).color;
  const axis = { stroke: ink, grid: { stroke: "#8884" }, ticks: { stroke: "#8884" } };
  const options = {
    width: figure.clientWidth, height: 260, scales: { kWh: { range: (_, low, high) => [0, Math.max(high, 0.1)] }, kW: { range: (_, low, high) => [0, Math.max(high, 1)] } },
    series: [
      { label: figure.dataset.time },
      { label: figure.dataset.energy, scale: "kWh", stroke: "#0b8a5f", width: 3, fill: "#0b8a5f22" },
      { label: figure.dataset.power, scale: "kW", stroke: "#b45309", width: 2, dash: [6, 4] },
    ],
    axes: [axis, { ...axis, scale: "kWh" }, { ...axis, scale: "kW", side: 1, grid: { show: false } }],
  };
  plot = new uPlot(options, data, figure);
}

async function course() {
  try {
    const answer = await fetch(now.dataset.course);
    if (!answer.ok) return;
    points = await answer.json();
  } catch {
    return connected(false); // the next event brings it
  }
  draw();
}

function listen() {
  const stream = new EventSource(now.dataset.events);
  stream.addEventListener("open", () => connected(true));
  stream.addEventListener("error", () => connected(stream.readyState !== EventSource.CONNECTING));
  stream.addEventListener("state", () => {
    connected(true);
    htmx.trigger(now, "changed");
    course();
  });
  stream.addEventListener("end", () => stream.close());
}

addEventListener("resize", () => plot && plot.setSize({ width: figure.clientWidth, height: 260 }));
document.addEventListener("htmx:afterSwap", (event) => { if (event.target === now) draw(); });
listen();
