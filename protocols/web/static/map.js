// The map of stations: the base map that comes with the page, or the operator's tiles; a point for each one in the list.

const element = document.getElementById("map");
const form = document.getElementById("place");
const list = document.getElementById("services");
const field = (name) => form.elements[name];
const colour = { AVAILABLE: "#0b8a5f", IN_USE: "#b45309", OUT_OF_SERVICE: "#b91c1c", UNKNOWN: "#6b7280" };
const map = L.map(element, { worldCopyJump: true, zoomSnap: 0.5 });
const points = L.layerGroup().addTo(map);
let placed = false;

function base() {
  if (element.dataset.tiles) {
    L.tileLayer(element.dataset.tiles, { attribution: element.dataset.attribution, maxZoom: 19 }).addTo(map);
    return;
  }
  fetch(element.dataset.base).then((answer) => answer.json()).then((world) => {
    const land = topojson.feature(world, world.objects.countries);
    const style = { color: "#8aa39b", weight: 1, fillColor: "#dfe9e4", fillOpacity: 1 };
    L.geoJSON(land, { style, interactive: false, attribution: "Natural Earth" }).addTo(map).bringToBack();
  }).catch(() => {}); // a map without coasts
}

function draw() {
  points.clearLayers();
  const places = [];
  for (const each of list.querySelectorAll("li[data-latitude]")) {
    const at = [Number(each.dataset.latitude), Number(each.dataset.longitude)];
    const link = each.querySelector("a");
    const shown = { radius: 9, weight: 2, color: "#fff", fillColor: colour[each.dataset.status] || colour.UNKNOWN, fillOpacity: 1 };
    L.circleMarker(at, shown).bindTooltip(link.querySelector("strong").textContent).on("click", () => link.click()).addTo(points);
    places.push(at);
  }
  if (!placed && places.length) {
    placed = true;
    map.fitBounds(places, { maxZoom: 14, padding: [30, 30], animate: false });
  }
}

function look(latitude, longitude, radius_m) {
  for (const [name, value] of Object.entries({ latitude, longitude, radius_m })) {
    field(name).disabled = false;
    field(name).value = value;
  }
  htmx.trigger(form, "moved");
}

function moved() {
  const { lat, lng } = map.getCenter().wrap();
  const radius_m = Math.round(map.distance(map.getCenter(), map.getBounds().getNorthEast()));
  look(lat.toFixed(6), lng.toFixed(6), Math.min(Math.max(radius_m, 500), 20_100_000));
}

document.getElementById("here").addEventListener("click", () => {
  const failed = () => { document.getElementById("no-place").hidden = false; };
  if (!navigator.geolocation) return failed();
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    placed = true;
    map.setView([coords.latitude, coords.longitude], 13, { animate: false });
    moved();
  }, failed, { timeout: 10_000, maximumAge: 60_000 });
});

map.setView([Number(field("latitude").value) || 50, Number(field("longitude").value) || 8], field("latitude").value ? 12 : 4, { animate: false });
placed = Boolean(field("latitude").value);
base();
map.on("dragend", moved);
element.addEventListener("click", (event) => { if (event.target.closest(".leaflet-control-zoom")) setTimeout(moved, 400); });
document.addEventListener("htmx:afterSwap", (event) => { if (event.target === list) draw(); });
