// What the dashboard of the retail demo shows. Records come over the browser's own EventSource, which reconnects by
// itself and sends Last-Event-ID, until a request of its is refused: then the page opens it anew, from where it was.
// Figures, and the state from before the page was opened, come as JSON.
"use strict";

const STATE_EVERY_MS = 2000;
const REOPEN_AFTER_MS = 2000;
const TRIES = 3; // with a position; then without
const EVENTS_SHOWN = 16;
const FLASH_MS = 150;
const LOW = 8; // pieces

const at = (id) => document.getElementById(id);
const euro = (cents) => (cents / 100).toFixed(2);
const count = new Intl.NumberFormat("en").format;

const shelves = new Map(); // "store:sku" -> {cell, pieces, price, base, changed}
const names = new Map(); // sku -> what customers call it
let fresh = []; // records not yet painted

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// ---- shelves: a row an article, a column a store

function layOut(stores, articles) {
  const head = element("tr");
  head.append(element("th", "article"), ...stores.map((store) => element("th", store)));
  at("shelves").tHead.replaceChildren(head);
  at("shelves").tBodies[0].replaceChildren(...articles.map((article) => row(article, stores)));
}

function row(article, stores) {
  names.set(article.sku, article.name);
  const made = element("tr");
  made.append(element("td", article.name));
  for (const store of stores) {
    const cell = element("td");
    cell.append(element("b", "–"), element("small", euro(article.price_cents)));
    made.append(cell);
    shelves.set(`${store}:${article.sku}`, { cell, base: article.price_cents, price: article.price_cents });
  }
  return made;
}

function setShelf(key, change, flash) {
  const shelf = shelves.get(key);
  if (!shelf) return;
  Object.assign(shelf, change);
  const [pieces, price] = shelf.cell.children;
  pieces.textContent = shelf.pieces ?? "–";
  price.textContent = euro(shelf.price);
  price.className = shelf.price > shelf.base ? "up" : shelf.price < shelf.base ? "down" : "";
  shelf.cell.classList.toggle("low", shelf.pieces < LOW);
  if (flash) {
    shelf.cell.classList.add("new");
    clearTimeout(shelf.timer);
    shelf.timer = setTimeout(() => shelf.cell.classList.remove("new"), FLASH_MS);
  }
}

// ---- records

const WHAT = {
  "retail.stock-levels": ["stock", (value) => `${value.quantity} pieces`],
  "retail.promotions": ["promotion", (value) => (value.percent_off ? `${value.percent_off} % off` : "ends")],
  "retail.sales": ["sale", (value) => `${value.quantity} sold`],
  "retail.restock-orders": ["restock", (value) => `${value.quantity} ordered`],
  "retail.prices": ["price", (value) => euro(value.price_cents)],
};

function apply(record, flash) {
  const value = record.value ?? {};
  if (record.topic === "retail.stock-levels") setShelf(record.key, { pieces: value.quantity }, flash);
  if (record.topic === "retail.prices") setShelf(record.key, { price: value.price_cents }, flash);
}

function line(record) {
  const [what, describe] = WHAT[record.topic] ?? [record.topic, () => ""];
  const [store, sku] = String(record.key).split(":");
  const made = element("li");
  made.append(
    element("time", new Date(record.timestamp_ms).toLocaleTimeString("en-GB")),
    element("span", what, "what"),
    element("span", `${store} · ${names.get(sku) ?? sku} · ${describe(record.value ?? {})}`, "text"),
  );
  return made;
}

function paint() {
  const records = fresh;
  fresh = [];
  for (const record of records) apply(record, true);
  const list = at("events");
  list.prepend(...records.slice(-EVENTS_SHOWN).reverse().map(line));
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
}

function arrived(record) {
  if (fresh.length === 0) requestAnimationFrame(paint);
  fresh.push(record);
  if (fresh.length > 5000) fresh.shift(); // a tab in the background does not paint
}

// ---- figures

function showFigures({ topics, readers }) {
  const total = (field) => topics.reduce((sum, topic) => sum + topic[field], 0);
  const medians = readers.map((reader) => reader.p50_ms).filter((ms) => ms !== null).sort((a, b) => a - b);
  at("rate").textContent = count(Math.round(total("per_second")));
  at("written").textContent = count(total("written"));
  at("latency").textContent = medians.length ? medians[medians.length >> 1].toFixed(0) : "–";
  at("behind").textContent = count(readers.reduce((sum, reader) => sum + reader.behind, 0));
  at("readers").replaceChildren(...readers.map(readerRow));
}

function readerRow(reader) {
  const made = element("tr");
  const cells = [reader.reader, count(reader.seen), count(reader.again), count(reader.behind)];
  cells.push(reader.per_second.toFixed(0), reader.p50_ms?.toFixed(0) ?? "–", reader.p99_ms?.toFixed(0) ?? "–");
  made.append(...cells.map((cell) => element("td", cell)));
  return made;
}

function showSellers(sellers) {
  const most = sellers[0]?.[1] ?? 1;
  at("sellers").replaceChildren(
    ...sellers.map(([sku, sold]) => {
      const made = element("li");
      made.append(element("span", names.get(sku) ?? sku), element("span", count(sold)));
      made.style.setProperty("--share", `${(100 * sold) / most}%`);
      return made;
    }),
  );
}

// ---- the two connections

function connection(state, text) {
  at("connection").dataset.state = state;
  at("connection").textContent = text;
}

function open(position = "", tries = TRIES) {
  const source = new EventSource(position ? `/events?position=${encodeURIComponent(position)}` : "/events");
  let last = position;
  let left = tries - 1;
  source.onopen = () => {
    left = TRIES;
    connection("live", "live");
  };
  source.onmessage = (event) => {
    last = event.lastEventId;
    arrived(JSON.parse(event.data));
  };
  source.addEventListener("gap", (event) => {
    last = event.lastEventId;
    connection("live", "live, after a gap");
  });
  source.addEventListener("end", (event) => connection("lost", `the stream ends: ${JSON.parse(event.data).reason}`));
  source.onerror = () => {
    connection("lost", "reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(open, REOPEN_AFTER_MS, left ? last : "", left || TRIES);
  };
}

async function refresh() {
  try {
    const state = await (await fetch("/state.json")).json();
    showFigures(state);
    showSellers(state.sellers);
    return state;
  } catch {
    return null; // the demo has ended, or is about to: the connection says so
  }
}

async function start() {
  const state = await refresh();
  if (state === null) {
    connection("lost", "waiting for the demo");
    setTimeout(start, REOPEN_AFTER_MS);
    return;
  }
  layOut(state.stores, state.articles);
  at("note").textContent = state.note;
  for (const [key, pieces] of Object.entries(state.stock)) setShelf(key, { pieces });
  for (const [key, price] of Object.entries(state.prices)) setShelf(key, { price });
  showSellers(state.sellers);
  state.latest.slice(-EVENTS_SHOWN).forEach((record) => at("events").prepend(line(record)));
  open();
  setInterval(refresh, STATE_EVERY_MS);
}

start();
