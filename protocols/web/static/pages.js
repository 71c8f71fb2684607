// What all pages do: times in the reader's zone, countdowns, one press for one form, and a word when the network is gone.

const styles = {
  datetime: { dateStyle: "medium", timeStyle: "medium" },
  time: { timeStyle: "medium" },
};
const language = document.documentElement.lang;

function lasting(seconds) {
  const rest = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60];
  return h ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
}

function count() {
  const now = Date.now();
  for (const each of document.querySelectorAll("time[data-when=left]")) {
    each.textContent = lasting((Date.parse(each.dateTime) - now) / 1000);
  }
  for (const each of document.querySelectorAll("[data-since]")) {
    each.textContent = lasting((now - Date.parse(each.dataset.since)) / 1000);
  }
}

function show(root) {
  for (const each of root.querySelectorAll("time[data-when]")) {
    const style = styles[each.dataset.when];
    if (style) each.textContent = new Intl.DateTimeFormat(language, style).format(new Date(each.dateTime));
  }
  count();
}

function connected(is) {
  document.getElementById("offline").hidden = is;
}

show(document);
setInterval(count, 1000);
const zone = document.querySelector("[data-zone]");
if (zone) zone.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;

document.addEventListener("htmx:load", (event) => show(event.target));
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf]").content;
});
document.addEventListener("htmx:sendError", () => connected(false));
document.addEventListener("htmx:timeout", () => connected(false));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr && event.detail.xhr.status) connected(true);
  if (event.detail.successful) document.getElementById("messages").replaceChildren();
});
document.addEventListener("connection", (event) => connected(event.detail));
window.addEventListener("offline", () => connected(false));
window.addEventListener("online", () => connected(true));
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = form.matches("[data-once]") ? form.querySelector("button[data-waiting]") : null;
  if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  } else if (button) {
    button.textContent = button.dataset.waiting;
    setTimeout(() => { button.disabled = true; });
  }
}, true);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
