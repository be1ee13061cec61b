// The site without this says all that it says with it. This adds: a theme that is kept, sorting, filters, and
// the form that looks a question up in the table. It reads the page's own cells and fetches nothing.
"use strict";

const root = document.documentElement;
const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* not kept, still shown */ } };
// At once, before anything is drawn.
if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();

const make = (name, words = "", attributes = {}) => {
  const made = document.createElement(name);
  made.textContent = words;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const text = (cell) => cell.textContent.trim();
const NOTHING = "\u2014";
const collator = new Intl.Collator("en", { numeric: true });

function themes() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    remember(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

// --- sorting ------------------------------------------------------------------------------------------------

// Numbers before words; what nobody knows is last in both directions.
function sorter(order) {
  const value = (words) => {
    if (words === NOTHING || words === "") return null;
    if (order.includes(words)) return order.indexOf(words);
    const number = Number(words.replace(/,/g, ""));
    return Number.isNaN(number) ? words : number;
  };
  return (one, other, sign) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
  };
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const compare = sorter((table.dataset.order || "").split("|"));
  heads.forEach((head, column) => {
    const button = make("button", "", { type: "button" });
    // A heading that is a link stays one, with the button behind it.
    if (head.querySelector("a")) button.setAttribute("aria-label", `sort by ${text(head)}`);
    else button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const each of heads) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const keyed = [...body.rows].map((row) => [text(row.cells[column]), row]);
      keyed.sort(([one], [other]) => compare(one, other, up ? 1 : -1));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}

// --- the large table ----------------------------------------------------------------------------------------

function readCells(table) {
  const keys = [...table.tHead.rows[0].cells].map((head) => head.dataset.key);
  return [...table.tBodies[0].rows].map((row) => {
    const found = Object.fromEntries(keys.map((key, column) => [key, text(row.cells[column])]));
    return { ...found, row, link: row.querySelector("a").getAttribute("href") };
  });
}

// The largest safe batch that a search found for the way and card of a cell; null where none did. "4,096+" is
// where a search ended.
const searched = (cell) => (/^[\d,]+\+?$/.test(cell.largest) ? Number(cell.largest.replace(/[,+]/g, "")) : null);

const distinct = (cells, key) => [...new Set(cells.map((cell) => cell[key]))];
const options = (select, values, all) => {
  const chosen = select.value;
  const every = all === undefined ? [] : [make("option", all, { value: "" })];
  select.replaceChildren(...every, ...values.map((value) => make("option", value, { value })));
  if ([...select.options].some((option) => option.value === chosen)) select.value = chosen;
};

function filters(table, cells) {
  const form = document.getElementById("filters");
  const order = table.dataset.order.split("|");
  const names = Object.fromEntries([...table.tHead.rows[0].cells].map((head) => [head.dataset.key, text(head)]));
  for (const key of table.dataset.choices.split(" ")) {
    const values = distinct(cells, key);
    if (values.length < 2) continue;
    const rank = (value) => (order.includes(value) ? order.indexOf(value) : order.length);
    values.sort((one, other) => rank(one) - rank(other) || collator.compare(one, other));
    const label = make("label", names[key]);
    const select = make("select", "", { name: key });
    options(select, values, "any");
    label.append(select);
    form.append(label);
  }
  const most = make("label", "process at most, GiB");
  most.append(make("input", "", { name: "most", type: "number", min: "0", step: "any" }));
  const least = make("label", "largest safe batch at least");
  least.append(make("input", "", { name: "least", type: "number", min: "0", step: "1" }));
  if (cells.some((cell) => searched(cell) !== null)) form.append(least);
  form.append(most, make("button", "Show all", { type: "reset" }));
  const count = document.getElementById("count");
  const apply = () => {
    const wanted = [...form.querySelectorAll("select")].filter((each) => each.value);
    const limit = form.elements.most.value === "" ? Infinity : Number(form.elements.most.value);
    const batch = form.elements.least && form.elements.least.value !== "" ? Number(form.elements.least.value) : null;
    let shown = 0;
    for (const cell of cells) {
      const fits = limit === Infinity || Number(cell.process.replace(/,/g, "")) <= limit;
      const reaches = batch === null || (searched(cell) !== null && searched(cell) >= batch);
      const keep = fits && reaches && wanted.every((each) => cell[each.name] === each.value);
      cell.row.hidden = !keep;
      shown += keep;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${cells.length.toLocaleString("en")} cells`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

// --- can I train it? ----------------------------------------------------------------------------------------

const WAY = ["accumulation", "precision", "compile", "optimizer", "checkpointing", "also"];
const wayKey = (cell) => [cell.model, cell.tokens, ...WAY.map((key) => cell[key])].join("|");
const wayWords = (cell) => [
  cell.precision, cell.compile, cell.optimizer,
  ...(cell.checkpointing === "none" ? [] : [`checkpointing ${cell.checkpointing}`]),
  ...(cell.accumulation === "1" ? [] : [`accumulation ${cell.accumulation}`]),
  ...(cell.also === NOTHING ? [] : [cell.also]),
].join(", ");

function answerOf(cell, cells) {
  const kind = cell.verdict.split(" ")[1];
  const item = make("li", "", { class: `answer v-${kind}` });
  const headroom = cell.headroom === NOTHING ? "" : `, ${cell.headroom} GiB of headroom`;
  const largest = searched(cell) === null ? "" : `The largest safe batch here is ${cell.largest}. `;
  item.append(make("b", cell.verdict), `: batch ${cell.batch}, ${wayWords(cell)}${headroom}, ${cell.process} GiB in all. ${largest}`);
  item.append(make("a", "How this is known, and the command", { href: cell.link }));
  const instead = (cell.row.dataset.i || "").split(" ").filter(Boolean).slice(0, 3)
    .map((setting) => cells.find((each) => each.card === cell.card && each.row.dataset.s === setting))
    .filter(Boolean);
  if (instead.length) {
    const list = make("ul");
    for (const each of instead) {
      const line = make("li", `safe instead: batch ${each.batch}, ${wayWords(each)} `);
      line.append(make("a", "its cell", { href: each.link }));
      list.append(line);
    }
    item.append(list);
  }
  return item;
}

// What a search proves of a batch that is no cell: the largest safe one, and that one more is not safe.
function proven(asked, near) {
  const found = near.find((cell) => searched(cell) !== null);
  if (!found) return null;
  const [largest, name] = [searched(found), found.largest];
  if (asked.batch === largest) return { kind: "safe", head: "\u2713 safe", tail: "It is the largest safe batch here, found by a search. " };
  if (asked.batch === largest + 1 && !name.endsWith("+")) {
    return { kind: "tight", head: "\u00d7 not safe", tail: `The largest safe batch here is ${name}, found by a search. ` };
  }
  const side = asked.batch < largest ? "this smaller one" : "this larger one";
  return { kind: "", head: `? largest safe batch: ${name}`, tail: `A search found it; ${side} was not run. ` };
}

function notThere(asked, words, near, command) {
  const said = proven(asked, near) || { kind: "", head: "? not in the table", tail: "" };
  const item = make("li", "", { class: said.kind ? `answer v-${said.kind}` : "answer" });
  item.append(make("b", said.head), `: batch ${asked.batch.toLocaleString("en")}, ${words}. ${said.tail}On this card the table has `);
  item.append(near.map((cell) => `${cell.batch} ${cell.verdict}`).join(", ") || "none of these", ". ");
  if (!command || !asked.option) return item;
  item.append("This runs it:", make("pre", command.replace("--gpu CARD", () => asked.option).replace("BATCH", asked.batch)));
  return item;
}

function question(table, cells) {
  const form = document.getElementById("question");
  const { model, card, batch, tokens, method } = form.elements;
  const cards = new Map([...document.querySelectorAll("tr[data-card]")].map((row) => [text(row.cells[0]), row.dataset.card]));
  const commands = new Map([...document.querySelectorAll("[data-way]")].map((way) => [way.dataset.way, way.querySelector("code")]));
  const order = table.dataset.order.split("|");
  const narrow = () => {
    const of = cells.filter((cell) => cell.model === model.value);
    options(tokens, distinct(of, "tokens"));
    const long = of.filter((cell) => cell.tokens === tokens.value);
    options(method, [...new Set(long.map(wayWords))], "any in the table");
    const batches = distinct(long, "batch").sort(collator.compare);
    document.getElementById("batches").replaceChildren(...batches.map((value) => make("option", "", { value: value.replace(/,/g, "") })));
    if (!batch.value) batch.value = batches[0];
  };
  options(model, distinct(cells, "model"));
  options(card, [...cards.keys()]);
  narrow();
  form.addEventListener("input", narrow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = { batch: Number(batch.value), option: cards.get(card.value) };
    const ways = new Map();
    for (const cell of cells) {
      if (cell.model !== model.value || cell.tokens !== tokens.value) continue;
      if (method.value && wayWords(cell) !== method.value) continue;
      const key = wayKey(cell);
      if (!ways.has(key)) ways.set(key, { words: wayWords(cell), near: [] });
      if (cell.card === card.value) ways.get(key).near.push(cell);
    }
    const known = [], unknown = [];
    for (const [key, { words, near }] of ways) {
      near.sort((one, other) => collator.compare(one.batch, other.batch));
      const exact = near.find((cell) => cell.batch.replace(/,/g, "") === String(asked.batch));
      if (exact) known.push(exact);
      else unknown.push(notThere(asked, words, near, commands.get(key) && text(commands.get(key))));
    }
    known.sort((one, other) => sorter(order)(one.verdict, other.verdict, 1));
    const list = make("ul", "", { class: "answers" });
    list.append(...known.map((cell) => answerOf(cell, cells)), ...unknown);
    const head = make("p", `${model.value}, batch ${asked.batch.toLocaleString("en")} of ${tokens.value} tokens, on ${card.value}:`);
    document.getElementById("answer").replaceChildren(head, list);
  });
  form.hidden = false;
}

// For browsers that do not open what an address lies in themselves.
function revealed() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target && target.closest("details");
  if (closed && !closed.open) { closed.open = true; target.scrollIntoView(); }
}

document.addEventListener("DOMContentLoaded", () => {
  themes();
  const table = document.getElementById("table");
  if (table) {
    const cells = readCells(table);
    filters(table, cells);
    if (cells.length) question(table, cells);
  }
  document.querySelectorAll("table.sortable").forEach(sortable);
  revealed();
  addEventListener("hashchange", revealed);
});
