// The console lives: a stream names what changes, and what shows it is read again, at most once in a second.

const live = document.getElementById("live");
const wanted = () => (document.getElementById("live")?.dataset.resources || "").split(" ");
const connected = (is) => document.dispatchEvent(new CustomEvent("connection", { detail: is }));
let opened = false;
let due = null;
let day = null;

function again() {
  if (due !== null) return;
  due = setTimeout(() => {
    due = null;
    if (document.getElementById("live").contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return again();
    htmx.ajax("GET", location.pathname + location.search, { target: "#live", swap: "outerHTML", select: "#live" });
  }, 700);
}

function concerns({ resource, id }) {
  return resource === "everything" || wanted().some((each) => each === resource || (id && each === `${resource}/${id}`) || (!id && each.startsWith(`${resource}/`)));
}

function listen() {
  const stream = new EventSource("/console/changes");
  stream.addEventListener("open", () => {
    connected(true);
    if (opened) again(); // what was missed while the line was down
    opened = true;
  });
  stream.addEventListener("error", () => connected(stream.readyState !== EventSource.CONNECTING));
  stream.addEventListener("changed", (event) => { if (concerns(JSON.parse(event.data))) again(); });
  addEventListener("pagehide", () => stream.close());
}

let unfolded = [];
document.addEventListener("htmx:beforeSwap", () => {
  unfolded = [...document.querySelectorAll("#live details[open]")].map((each) => each.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  plot();
});

function plot() {
  const told = document.getElementById("hours");
  const figure = document.getElementById("day");
  if (!told || !figure) return;
  const hours = JSON.parse(told.textContent);
  const data = [hours.map((hour) => hour.at), hours.map((hour) => hour.energy_wh / 1000), hours.map((hour) => hour.charges)];
  if (day) return day.setData(data);
  const ink = getComputedStyle(document.body).color;
  const axis = { stroke: ink, grid: { stroke: "#8884" }, ticks: { stroke: "#8884" } };
  day = new uPlot({
    width: figure.clientWidth, height: 240,
    scales: { kWh: { range: (_, low, high) => [0, Math.max(high, 1)] }, charges: { range: (_, low, high) => [0, Math.max(high, 2)] } },
    series: [
      { label: told.dataset.time },
      { label: told.dataset.energy, scale: "kWh", stroke: "#0b8a5f", fill: "#0b8a5f44", paths: uPlot.paths.bars({ size: [0.8, 40] }), points: { show: false } },
      { label: told.dataset.charges, scale: "charges", stroke: "#b45309", width: 2 },
    ],
    axes: [axis, { ...axis, scale: "kWh" }, { ...axis, scale: "charges", side: 1, grid: { show: false } }],
  }, data, figure);
}

function map() {
  const element = document.getElementById("map");
  if (!element || !window.L) return;
  const at = [Number(element.dataset.latitude), Number(element.dataset.longitude)];
  const drawn = L.map(element, { scrollWheelZoom: false }).setView(at, element.dataset.tiles ? 14 : 6);
  L.circleMarker(at, { radius: 9, weight: 2, color: "#fff", fillColor: "#0b8a5f", fillOpacity: 1 }).addTo(drawn);
  if (element.dataset.tiles) return void L.tileLayer(element.dataset.tiles, { attribution: element.dataset.attribution, maxZoom: 19 }).addTo(drawn);
  fetch(element.dataset.base).then((answer) => answer.json()).then((world) => {
    const style = { color: "#8aa39b", weight: 1, fillColor: "#dfe9e4", fillOpacity: 1 };
    L.geoJSON(topojson.feature(world, world.objects.countries), { style, interactive: false, attribution: "Natural Earth" }).addTo(drawn).bringToBack();
  }).catch(() => {}); // a map without coasts
}

for (const link of document.querySelectorAll("nav a[data-place]")) {
  const here = location.pathname.split("/")[2] || "";
  if (here === link.dataset.place) link.setAttribute("aria-current", "page");
}
if (live) listen();
plot();
map();
