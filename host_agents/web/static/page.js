"use strict";
// The table and what stands around it are HTML from the daemon (htmx); here are the chart, the token and the dialog.

const SECONDS = 600;
const series = [[], [], []]; // seconds since 1970, accepted, denied
let chart = null;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw() {
  const box = document.getElementById("chart");
  if (chart) chart.destroy();
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--soft"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
  const bars = uPlot.paths.bars({ size: [1, 12], gap: 0 });
  const line = (label, name) => ({ label, stroke: colour(name), fill: colour(name), paths: bars, points: { show: false } });
  chart = new uPlot({
    width: box.clientWidth, height: 190, legend: { show: false }, cursor: { y: false },
    scales: { x: { range: (_, low, high) => [high - SECONDS, high] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [{ ...axis, space: 80, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1]] },
      { ...axis, size: 46, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000] }],
    series: [{}, line("accepted", "--accent"), line("denied", "--bad")],
  }, series, box);
}

function add(second) {
  if (series[0].length && second[0] <= series[0].at(-1)) return;
  second.forEach((value, at) => series[at].push(value));
  while (series[0].length > SECONDS) series.forEach((one) => one.shift());
}

const heard = {
  history(seconds) { series.forEach((one) => { one.length = 0; }); seconds.forEach(add); },
  second: add,
};

function linked(state, text) {
  const link = document.getElementById("link");
  link.className = state;
  link.textContent = text;
}

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const hear = heard[event.detail.type];
  if (!hear) return;
  event.preventDefault();
  hear(JSON.parse(event.detail.data));
  if (chart) chart.setData(series);
});
document.addEventListener("htmx:sseOpen", () => linked("live", "live"));
document.addEventListener("htmx:sseError", () => linked("lost", "no answer, trying again"));

// ---- releasing a session

const dialog = document.getElementById("ask");
let asked = null; // the button's data, and its id, which is there again when the table has been drawn anew

function token() { return sessionStorage.getItem("token") || ""; }

function ask(button) {
  asked = { nai: button.dataset.nai, sub_nai: button.dataset.subNai, id: button.id };
  document.getElementById("ask-who").textContent = [asked.nai, asked.sub_nai].filter(Boolean).join("  ·  ");
  document.getElementById("ask-error").textContent = "";
  document.getElementById("token").value = "";
  document.getElementById("token-label").hidden = Boolean(token());
  dialog.showModal();
  document.getElementById(token() ? "ask-release" : "token").focus();
}

async function release() {
  const given = document.getElementById("token").value.trim() || token();
  const inform = document.getElementById("inform").checked;
  const answer = await fetch("/api", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Authorization": `Bearer ${given}` },
    body: JSON.stringify({ release: { nai: asked.nai, sub_nai: asked.sub_nai, inform } }),
  }).catch(() => null);
  if (answer && answer.ok) {
    sessionStorage.setItem("token", given);
    asked = null; // its button is about to go
    dialog.close();
    htmx.trigger("#rows", "sse:tick");
    return;
  }
  if (answer && answer.status === 401) {
    sessionStorage.removeItem("token");
    document.getElementById("token-label").hidden = false;
    document.getElementById("token").focus();
  }
  const reason = answer ? (await answer.json().catch(() => ({}))).error : "the daemon does not answer";
  document.getElementById("ask-error").textContent = `Not released: ${reason || answer.status}`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".release");
  if (button) ask(button);
});
dialog.querySelector("form").addEventListener("submit", (event) => {
  if (event.submitter && event.submitter.value === "cancel") return;
  event.preventDefault();
  release();
});
dialog.addEventListener("close", () => {
  const button = asked && document.getElementById(asked.id);
  (button || document.getElementById("search")).focus();
});

// ---- keys: / searches, Esc leaves it, n and p turn pages

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input") || dialog.open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    "/": () => document.getElementById("search").focus(),
    n: () => document.getElementById("next").click(),
    p: () => document.getElementById("back").click(),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});

// ---- the chart fits its place and its colours

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(([entry]) => chart && chart.setSize({ width: entry.contentRect.width, height: 190 }))
  .observe(document.getElementById("chart"));
draw();
